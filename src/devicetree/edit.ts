import { Problem } from '../problem/problem.js';
import { childIndex, type DeviceTree, type DeviceTreeNode, type Property } from './tree.js';

/** Applies `change` to the node at `path`, copying only the nodes on the way. */
function changeNode(tree: DeviceTree, path: string, change: (node: DeviceTreeNode) => DeviceTreeNode): DeviceTree {
  const descend = (node: DeviceTreeNode, names: readonly string[]): DeviceTreeNode => {
    const [name, ...rest] = names;
    if (name === undefined) return change(node);
    const index = childIndex(node, name);
    const child = node.children[index];
    if (!child) {
      throw new Problem('devicetree-no-node', `the device tree has no node ${path}`, { facts: { path } });
    }
    return { ...node, children: node.children.with(index, descend(child, rest)) };
  };
  return { ...tree, root: descend(tree.root, path.split('/').filter(Boolean)) };
}

/**
 * The tree with one property set: in its place where the node has it, else after the others.
 * @throws Problem `devicetree-no-node`
 */
export function setProperty(tree: DeviceTree, path: string, name: string, value: Uint8Array): DeviceTree {
  const property: Property = { name, value };
  return changeNode(tree, path, (node) => {
    const index = node.properties.findIndex((own) => own.name === name);
    return { ...node, properties: index < 0 ? [...node.properties, property] : node.properties.with(index, property) };
  });
}

/** The tree without one property; the same tree where the node does not have it. Throws Problem `devicetree-no-node`. */
export function removeProperty(tree: DeviceTree, path: string, name: string): DeviceTree {
  return changeNode(tree, path, (node) => ({
    ...node,
    properties: node.properties.filter((property) => property.name !== name),
  }));
}

/**
 * The tree with `node` as a child of the node at `parent`: the last, or the one behind the child called `behind`.
 * Throws Problem `devicetree-no-node`.
 */
export function addNode(tree: DeviceTree, parent: string, node: DeviceTreeNode, behind?: string): DeviceTree {
  return changeNode(tree, parent, (above) => {
    const index = behind === undefined ? -1 : childIndex(above, behind);
    const at = index < 0 ? above.children.length : index + 1;
    return { ...above, children: above.children.toSpliced(at, 0, node) };
  });
}

/** The tree without the node at `path` and all below it. Throws Problem `devicetree-no-node`. */
export function removeNode(tree: DeviceTree, path: string): DeviceTree {
  const cut = path.lastIndexOf('/');
  return changeNode(tree, path.slice(0, cut), (above) => {
    const index = childIndex(above, path.slice(cut + 1));
    if (index < 0) throw new Problem('devicetree-no-node', `the device tree has no node ${path}`, { facts: { path } });
    return { ...above, children: above.children.toSpliced(index, 1) };
  });
}
