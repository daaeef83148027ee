/** Whether a text is libvirt's description of a domain, by how it begins. */
export const looksLikeDomain = (head: string): boolean =>
  /^\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--[^]*?-->\s*)*<domain[\s>]/.test(head);
