declare const PINBAR_VERSION: string | undefined;

/** The version of the package; the build fills it in. */
export const VERSION = typeof PINBAR_VERSION === 'string' ? PINBAR_VERSION : '0.0.0-source';
