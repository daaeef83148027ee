import { accessControlServices } from './acs.js';
import { addressTranslation } from './ats.js';
import { advancedErrorReporting } from './aer.js';
import { advancedFeatures } from './advanced-features.js';
import { alternativeRoutingId } from './ari.js';
import { bridgeSubsystem } from './subsystem.js';
import { deviceSerialNumber } from './serial-number.js';
import { downstreamPortContainment } from './dpc.js';
import { enhancedAllocation } from './enhanced-allocation.js';
import { express } from './express.js';
import { l1Substates } from './l1-substates.js';
import { latencyTolerance } from './ltr.js';
import { msi } from './msi.js';
import { msix } from './msix.js';
import { pageRequest } from './page-request.js';
import { pcix } from './pcix.js';
import { powerManagement } from './power-management.js';
import { precisionTime } from './precision-time.js';
import { processAddressSpaceId } from './pasid.js';
import { resizableBar, vfResizableBar } from './resizable-bar.js';
import { singleRootIov } from './sriov.js';
import { slotIdentification } from './slot-identification.js';
import { standardHotplug } from './hotplug.js';
import { vendorSpecific } from './vendor-specific.js';
import { designatedVendorSpecific, vendorSpecificExtended } from './vsec.js';
import type { CapDecoder } from './view.js';

/** Capabilities of the first 256 bytes. The key is the `kind` that decoded data carries. */
export const standardDecoders = {
  powerManagement,
  slotIdentification,
  msi,
  pcix,
  vendorSpecific,
  standardHotplug,
  bridgeSubsystem,
  express,
  msix,
  advancedFeatures,
  enhancedAllocation,
} as const satisfies Record<string, CapDecoder>;

/** Extended capabilities, from 0x100 on. */
export const extendedDecoders = {
  advancedErrorReporting,
  deviceSerialNumber,
  vendorSpecificExtended,
  accessControlServices,
  alternativeRoutingId,
  addressTranslation,
  singleRootIov,
  pageRequest,
  resizableBar,
  latencyTolerance,
  processAddressSpaceId,
  downstreamPortContainment,
  l1Substates,
  precisionTime,
  designatedVendorSpecific,
  vfResizableBar,
} as const satisfies Record<string, CapDecoder>;

type Decoders = typeof standardDecoders & typeof extendedDecoders;
export type CapabilityKind = keyof Decoders;
export type CapabilityData<K extends CapabilityKind> = ReturnType<Decoders[K]['decode']>;

interface Placed {
  /** Register of the capability's first byte. */
  readonly at: number;
  readonly id: number;
  readonly extended: boolean;
  /** 0 in a standard capability. */
  readonly version: number;
}

/** One capability: decoded, or only named where pinbar does not know the id or the capability is cut off. */
export type Capability = Placed &
  (
    | { [K in CapabilityKind]: { readonly kind: K; readonly data: CapabilityData<K> } }[CapabilityKind]
    | { readonly kind: 'raw' }
  );

/** The first capability of a kind, decoded. */
export function capability<K extends CapabilityKind>(
  list: readonly Capability[],
  kind: K,
): { readonly at: number; readonly data: CapabilityData<K> } | undefined {
  return list.find((cap) => cap.kind === kind) as { at: number; data: CapabilityData<K> } | undefined;
}

const byId = (decoders: Record<string, CapDecoder>) =>
  new Map(Object.entries(decoders).map(([kind, decoder]) => [decoder.id, { kind: kind as CapabilityKind, decoder }]));

export const standardById = byId(standardDecoders);
export const extendedById = byId(extendedDecoders);
