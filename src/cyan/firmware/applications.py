"""Applications that are known by name: Tinker, with which every board comes, for simulated devices.

For boards there is none here: their Tinker is in the tools of the platform (`particle flash DEVICE
tinker` sends it as a file).
"""

from typing import Final

from cyan.core.errors import NotFoundError
from cyan.devices.model import Device
from cyan.firmware.uploads import File
from cyan.wire.simulated import is_simulated_device

TINKER: Final = b"""\
// Pins by call: digitalread, digitalwrite, analogread, analogwrite.
int digitalRead(String pin) { return 0; }
int digitalWrite(String pin) { return 1; }
int analogRead(String pin) { return 2048; }
int analogWrite(String pin) { return 1; }

void setup() {
    Particle.function("digitalread", digitalRead);
    Particle.function("digitalwrite", digitalWrite);
    Particle.function("analogread", analogRead);
    Particle.function("analogwrite", analogWrite);
}

void loop() {}
"""
"""What simulated pins answer; the names are those of the mobile clients."""


class UnknownApplicationError(NotFoundError):
    """There is no application of this name for the device on this server. Send its file."""


def find_application(device: Device, name: str) -> tuple[File, ...]:
    """Its sources. Raises UnknownApplicationError."""
    if name.lower() != "tinker" or not is_simulated_device(device.id):
        raise UnknownApplicationError
    return (File("tinker.ino", TINKER),)
