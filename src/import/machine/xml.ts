import { parseXml, XmlElement } from '@rgrove/parse-xml';
import { Problem } from '../../problem/problem.js';

/** Domain XML has a few hundred KiB at most. */
const MAX_XML = 8 * 1024 * 1024;
/** The parser recurses. */
const MAX_DEPTH = 200;

/**
 * The root element of an XML text. Document types are not read, so entities of their own cannot blow it up.
 * @throws Problem `xml-syntax` with line and column, `xml-too-large`
 */
export function parseRoot(text: string, file: string): XmlElement {
  if (text.length > MAX_XML || depthOf(text) > MAX_DEPTH) {
    throw new Problem('xml-too-large', `${file} is too large or too deep for domain XML`, { where: { file } });
  }
  // What `virsh edit` and shells leave before the document.
  const start = text.indexOf('<');
  try {
    const { root } = parseXml(start > 0 ? text.slice(start) : text);
    if (root) return root;
    throw new Problem('xml-syntax', `${file} holds no XML element`, { where: { file } });
  } catch (error) {
    if (error instanceof Problem || !(error instanceof Error)) throw error;
    const { line, column } = error as { line?: number; column?: number };
    const skipped = start > 0 ? text.slice(0, start).split('\n').length - 1 : 0;
    const [why = ''] = error.message.split('\n');
    throw new Problem('xml-syntax', `not valid XML: ${why.replace(/ \(line.*$/, '')}`, {
      where: {
        file,
        ...(line === undefined ? {} : { line: line + skipped }),
        ...(column === undefined ? {} : { column }),
      },
    });
  }
}

/** Nesting by counting tags; more than there is where text looks like tags. */
function depthOf(text: string): number {
  let depth = 0;
  let most = 0;
  for (const [tag] of text.matchAll(/<(?:\/[\w:.-]+|[\w:.-]+(?:[^<>"']|"[^"]*"|'[^']*')*)>/g)) {
    if (tag.startsWith('</')) depth--;
    else if (!tag.endsWith('/>')) most = Math.max(most, ++depth);
  }
  return most;
}

/** The elements in an element, with this name. */
export const childrenOf = (element: XmlElement | undefined, name: string): XmlElement[] =>
  (element?.children ?? []).filter((child): child is XmlElement => child instanceof XmlElement && child.name === name);

/** The first of them. */
export const childOf = (element: XmlElement | undefined, name: string): XmlElement | undefined =>
  childrenOf(element, name)[0];

export const attribute = (element: XmlElement | undefined, name: string): string | undefined =>
  element?.attributes[name];
