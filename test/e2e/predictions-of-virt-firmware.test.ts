import { recordable } from '../groundtruth/flavours.js';
import { testFresh } from '../groundtruth/fresh.js';

// Beside the file for PCs, so that both run at once.
testFresh(recordable.filter(({ kernel, arch }) => !kernel && arch !== 'x86_64'));
