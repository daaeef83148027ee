/**
 * The script of a hook sidecar, which KubeVirt runs with the domain's XML as its fourth argument and whose output is the domain
 * that is defined (KubeVirt user guide, Hook Sidecar Container). Host devices are known by their address on the host, because a
 * device plugin chooses which one a virtual machine is given. What KubeVirt's domain has besides keeps no address, so that libvirt
 * finds it a place.
 */
export const hookScript = (data: string): string => `#!/usr/bin/env python3
# Written by pinbar export kubevirt.
import json
import sys
import xml.etree.ElementTree as ET

PLAN = json.loads(r'''${data.replaceAll("'", '\\u0027')}''')
QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
ET.register_namespace("qemu", QEMU)


def number(element, key):
    return int(element.get(key, "0"), 0)


def place(element, at):
    for old in element.findall("address"):
        element.remove(old)
    ET.SubElement(element, "address", at)


def main(text):
    domain = ET.fromstring(text)
    devices = domain.find("devices")
    for controller in devices.findall("controller"):
        if controller.get("type") == "pci" and controller.get("index") != "0":
            devices.remove(controller)
    for element in devices:
        address = element.find("address")
        if address is not None and address.get("type") == "pci":
            element.remove(address)
    for one in PLAN["controllers"]:
        controller = ET.SubElement(devices, "controller", one["attributes"])
        if one["target"]:
            ET.SubElement(controller, "target", one["target"])
        place(controller, one["address"])
    wanted = dict(PLAN["hostdevs"])
    for hostdev in devices.findall("hostdev"):
        source = hostdev.find("source/address")
        if hostdev.get("type") != "pci" or source is None:
            continue
        host = "%04x:%02x:%02x.%x" % tuple(number(source, key) for key in ("domain", "bus", "slot", "function"))
        if host in wanted:
            place(hostdev, wanted.pop(host))
    if wanted:
        sys.exit("the domain has no host device " + ", ".join(sorted(wanted)))
    if PLAN["arguments"]:
        line = domain.find("{%s}commandline" % QEMU)
        if line is None:
            line = ET.SubElement(domain, "{%s}commandline" % QEMU)
        for value in PLAN["arguments"]:
            ET.SubElement(line, "{%s}arg" % QEMU, {"value": value})
    print(ET.tostring(domain, encoding="unicode"))


if __name__ == "__main__":
    main(sys.argv[4])
`;
