import { recordable } from '../groundtruth/flavours.js';
import { testFresh } from '../groundtruth/fresh.js';

testFresh(recordable.filter(({ kernel }) => !kernel));
