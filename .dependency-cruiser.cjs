/**
 * The folders of src/ are the architecture: an import goes to the same folder or to one further down this list, never up.
 * Folders of one row may not import each other.
 */
const rows = [
  ['cli', 'web'],
  ['qemu', 'twin', 'host', 'ioreq'],
  ['doctor'],
  ['size'],
  ['export', 'guests'],
  ['import'],
  ['qemu/args', 'sim'],
  ['uefi'],
  ['devicetree', 'acpi'],
  ['pin'],
  ['program'],
  ['enumerate', 'place'],
  ['machine'],
  ['pci'],
  ['address'],
  ['problem'],
];

/** A folder without the folders in it that have a row of their own. */
const inside = (folder) => {
  const own = rows.flat().filter((other) => other.startsWith(`${folder}/`));
  return folder + '/' + (own.length > 0 ? `(?!${own.map((other) => other.slice(folder.length + 1)).join('/|')}/)` : '');
};

const upward = rows
  .flatMap((row, depth) =>
    row.map((folder) => {
      const above = rows.slice(0, depth).flat();
      const beside = row.filter((other) => other !== folder);
      return {
        name: `${folder.replace('/', '-')}-imports-downwards`,
        comment: `src/${folder} may import only what lies below it`,
        severity: 'error',
        from: { path: `^src/${inside(folder)}`, pathNot: '[.]test[.]ts$' },
        to: { path: `^src/(${[...above, ...beside].map(inside).join('|')})` },
      };
    }),
  )
  .filter((rule) => !rule.to.path.endsWith('()'));

module.exports = {
  forbidden: [
    ...upward,
    {
      name: 'core-runs-anywhere',
      comment: 'the core works in a browser too: no Node API',
      severity: 'error',
      from: {
        path: '^src/(problem|address|pci|machine|enumerate|place|program|pin|sim|guests|devicetree|acpi|uefi|import|export|size|doctor)/',
        pathNot: '[.]test[.]ts$',
      },
      to: { dependencyTypes: ['core'] },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'src-not-tests',
      severity: 'error',
      from: { path: '^src/', pathNot: '[.]test[.]ts$' },
      to: { path: '^(test|bench)/|[.]test[.]ts$' },
    },
    {
      name: 'declared-dependencies',
      severity: 'error',
      from: { path: '^src/', pathNot: '[.]test[.]ts$' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
  },
};
