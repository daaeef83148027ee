import { recordable } from '../groundtruth/flavours.js';
import { testFresh } from '../groundtruth/fresh.js';

testFresh(recordable.filter(({ kernel, arch }) => !kernel && arch === 'x86_64'));
