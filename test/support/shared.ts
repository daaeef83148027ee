import { existsSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The folder of public samples that are tested against where it is there: `PINBAR_SHARED`, or `shared` beside the
 * checkout. It is no part of the repository.
 */
export const sharedFolder = (...path: string[]): string | undefined => {
  const root = process.env['PINBAR_SHARED'] ?? join(import.meta.dirname, '../../../shared');
  const folder = join(root, ...path);
  return existsSync(folder) ? folder : undefined;
};
