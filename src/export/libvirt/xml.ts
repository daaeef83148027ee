/** An element as it is written. Attributes that are undefined are left out. */
export interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string | undefined>>;
  readonly content: string | readonly Element[];
}

export const element = (
  name: string,
  attributes: Element['attributes'] = {},
  content: Element['content'] = [],
): Element => ({ name, attributes, content });

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** What XML 1.0 cannot hold is left out. */
export const escapeXml = (text: string): string =>
  text.replaceAll(/[^\t\n\r\x20-\ud7ff\ue000-\ufffd]/gu, '').replaceAll(/[&<>"]/g, (char) => entities[char] ?? '');

/** XML with two spaces a level. */
export function xmlText({ name, attributes, content }: Element, indent = ''): string {
  const words = Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [` ${key}="${escapeXml(value)}"`],
  );
  const open = `${indent}<${name}${words.join('')}`;
  if (content.length === 0) return `${open}/>\n`;
  if (typeof content === 'string') return `${open}>${escapeXml(content)}</${name}>\n`;
  return `${open}>\n${content.map((child) => xmlText(child, `${indent}  `)).join('')}${indent}</${name}>\n`;
}
