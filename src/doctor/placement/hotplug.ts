import type { Scene } from '../scene/scene.js';
import type { Story } from '../scene/stories.js';

/** Seconds after which no machine is still enumerating what was there at boot. */
const LONG_AFTER_BOOT = 60;

/** Whether a device came after boot: the log says so, or the lines about it are from long after. */
export function isHotplugged({ evidence }: Scene, story?: Story): boolean {
  if (evidence.messages.has('hotplug')) return true;
  const time = story?.events.find(({ verb }) => verb === 'no-space')?.line.time;
  return time !== undefined && time > LONG_AFTER_BOOT;
}
