import { rule } from './rule.js';

/** Peer-to-peer access, topology as CUDA and NCCL see it, user space and its access to BARs. */
export const peerRules = [
  rule('peer-completion', /Got completion (?:from|with)[^\n]*?(?:error|status)[ =]*(?<status>\d+)/, 'Got completion'),
  rule(
    'peer-refused',
    /peer[ -]?(?:to[ -]?peer |access )[^\n]{0,60}(?:not supported|not possible|unsupported|disabled|unavailable|cannot|failed|denied)|P2P (?:is |access )?(?:disabled|not supported|unsupported|not available)|cannot be used for peer-to-peer DMA|PeerToPeer[^\n]*not supported/i,
    'eer',
    'P2P',
    'p2p',
  ),
  rule('peer-matrix', /^\s*GPU\d\s+(?:X|CNS|GNS|TNS|NS|OK|U)\b(?=[^\n]*\b(?:CNS|GNS|TNS|NS)\b)/, 'GPU'),
  rule(
    'peer-register',
    /(?:ibv_reg_mr|ibv_reg_dmabuf_mr|nv_peer_mem|nvidia[-_]peermem|reg_mr)[^\n]{0,60}(?:fail|Bad address|Cannot allocate|not permitted|error)/i,
    'reg_mr',
    'peer_mem',
    'peermem',
  ),
  rule(
    'topo-row',
    /^\s*(?<from>(?:GPU|NIC|mlx5_|NV)\w*)\s+(?<cells>(?:(?:X|PIX|PXB|PHB|NODE|SYS|NV\d+)\s+)+)/,
    'PHB',
    'SYS',
    'PIX',
    'PXB',
    'NODE',
  ),
  rule(
    'nccl-p2p-off',
    /NCCL (?:INFO|WARN)[^\n]*(?:P2P[^\n]{0,30}(?:disabled|not|0)|ACS[^\n]{0,30}enabled|could not enable P2P)/i,
    'NCCL',
  ),
  rule('acs-kernel', /(?:pci|PCI)[^\n]*(?:disabled ACS|ACS redirect|enabling ACS|Overrides ACS)/i, 'ACS'),
  rule(
    'resource-file',
    /\/(?<device>[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])\/resource(?<bar>\d)(?<wc>_wc)?(?![\w])/,
    '/resource',
  ),
  rule('errno', /Errno (?<errno>\d{1,3})\]?|errno[ =:]+(?<errno2>\d{1,3})/, 'rrno'),
  rule(
    'mmap-failed',
    /\bmmap\w*\b[^\n]{0,80}(?:fail|error|No such device|Invalid|not permitted|denied|ENODEV)/i,
    'mmap',
    'MMAP',
  ),
  rule(
    'file-missing',
    /(?:resource\d(?:_wc)?['"]?[^\n]{0,40}|open[^\n]{0,80}resource\d[^\n]{0,40})No such file or directory|No such file or directory[^\n]{0,80}resource\d/,
    'No such file',
  ),
  rule('dev-mem', /\/dev\/mem[^\n]{0,60}(?:not permitted|denied|fail|Invalid|Bad address)/, '/dev/mem'),
] as const;
