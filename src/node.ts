/** What of the library needs Node. */
export { fileTree } from './host/file-tree.js';
