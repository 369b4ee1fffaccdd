"""Every command of particle-cli 3.51.0 and every method of particle-api-js 12.0.3, and which of
them a test proves (rest-api-core.md §22, §23). `docs/generate.py` makes a page of it.

A row passes when a test that runs the real client says so by `@proves("device add")`, or
`@proves("claimDevice()")` for a method; nothing else makes it pass. Where no test does, the row's
need says what it would take.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

_Test = TypeVar("_Test", bound=Callable[..., object])

NOT_YET: Final = "not yet"
_HEADINGS: Final = {
    "here": NOT_YET,
    "usb": "needs USB",
    "product": "not yet: needs products",
    "compiler": "not yet: needs the compiler",
    "integrations": "not yet: needs integrations",
    "logic": "not yet: needs Logic",
    "firmware": "not yet: needs firmware over the air",
    "protection": "not yet: needs device protection",
    "linux": "not yet: needs Linux devices",
    "carrier": "needs a carrier of SIM cards",
    "elsewhere": "asks another server than this",
    "local": "asks no server",
}

_COMMANDS: Final = """
here: login · login --token · logout · whoami · token create · token revoke · profile
elsewhere: login --sso · update-cli
here: list · device add · device remove · device rename · nyan
here: function list · function call · variable list · variable get · variable monitor
here: publish · subscribe
here: keys send
local: device doctor
compiler: compile · flash (sources)
firmware: flash (a binary)
usb: flash --local · flash --usb · flash --factory · flash --serial · flash --tachyon · update
usb: identify · device-protection status · device-protection disable · device-protection enable
product: product device list · product device add · product device remove
integrations: integration create · integration list · integration delete
integrations: webhook create · webhook list · webhook delete
here: config env list · config env set · config env delete
here: config secrets list · config secrets get · config secrets set · config secrets delete
logic: logic-function list · logic-function get · logic-function execute · logic-function deploy
logic: logic-function enable · logic-function disable · logic-function delete
local: logic-function create · logic-function logs
here: library list · library search · library add · library copy · library install · library view
here: library upload · library publish · library delete
local: library create · library migrate
local: project create · project ai · preprocess · bundle · binary inspect · binary list-assets
local: binary strip-assets · binary enable-device-protection
usb: keys new · keys load · keys save · keys server · keys address · keys doctor
usb: usb list · usb start-listening · usb stop-listening · usb safe-mode · usb dfu · usb reset
usb: usb setup-done · usb configure · usb cloud-status · usb network-interfaces · usb env
usb: usb send-request
usb: serial list · serial monitor · serial identify · serial wifi · serial mac · serial inspect
usb: wifi add · wifi join · wifi clear · wifi list · wifi remove · wifi current
usb: esim provision · esim enable · esim delete · esim list
product: container push · container list · container remove
local: container run · container configure-docker
product: tachyon setup
usb: tachyon identify · tachyon backup · tachyon restore · tachyon factory-restore
elsewhere: tachyon download-package
local: tachyon clean-cache · udp send · udp listen · help · version
"""

_METHODS: Final = """
here: login · sendOtp · loginAsClientOwner · enableMfa · confirmMfa · disableMfa
product: createCustomer
here: createUser · resetPassword · deleteUser · getUserInfo · setUserInfo · changeUsername
here: changeUserPassword · trackingIdentity
here: deleteAccessToken · deleteCurrentAccessToken · deleteActiveAccessTokens
here: listDevices · getDevice · claimDevice · removeDevice · renameDevice · signalDevice
here: setDeviceNotes · getClaimCode · getVariable · callFunction · sendPublicKey
here: provisionDevice
here: updateDevice
product: addDeviceToProduct · removeDeviceOwner · markAsDevelopmentDevice
product: lockDeviceProductFirmware · unlockDeviceProductFirmware
protection: unprotectDevice
firmware: flashDevice
compiler: compileCode · downloadFirmwareBinary · listBuildTargets
here: getEventStream · publishEvent
integrations: createWebhook · listWebhooks · deleteWebhook · createIntegration · editIntegration
integrations: listIntegrations · deleteIntegration
carrier: listSIMs · getSIMDataUsage · getFleetDataUsage · checkSIM · removeSIM
here: listLibraries · getLibrary · getLibraryVersions · contributeLibrary · publishLibrary
here: deleteLibrary · downloadFile
here: listOAuthClients · createOAuthClient · updateOAuthClient · deleteOAuthClient
product: listProducts · getProduct · listProductFirmware · uploadProductFirmware
product: getProductFirmware · updateProductFirmware · downloadProductFirmware
product: releaseProductFirmware · listTeamMembers · inviteTeamMember · removeTeamMember
here: lookupSerialNumber
linux: downloadManufacturingBackup
product: getProductConfiguration · getProductConfigurationSchema · setProductConfiguration
product: getProductDeviceConfiguration · getProductDeviceConfigurationSchema
product: setProductDeviceConfiguration · getProductLocations · getProductDeviceLocations
logic: executeLogic · createLogicFunction · getLogicFunction · updateLogicFunction
logic: deleteLogicFunction · listLogicFunctions · listLogicRuns · getLogicRun · getLogicRunLogs
here: createLedger · getLedger · updateLedger · archiveLedger · listLedgers
here: getLedgerInstance · setLedgerInstance · deleteLedgerInstance · listLedgerInstances
here: listLedgerInstanceVersions · getLedgerInstanceVersion
firmware: listDeviceOsVersions · getDeviceOsVersion
here: listEnvVars · updateEnvVars · setEnvVar · deleteEnvVar · renderEnvVars
here: reviewEnvVarsRollout · startEnvVarsRollout
here: get · head · post · put · patch · delete · request
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A command or method; `need` is what it takes where no test proves it."""

    name: str
    need: str


def _rows(table: str, mark: str = "") -> tuple[Row, ...]:
    return tuple(
        Row(name.strip() + mark, _HEADINGS[need])
        for need, _, names in (line.partition(":") for line in table.strip().splitlines())
        for name in names.split("·")
    )


COMMANDS: Final = _rows(_COMMANDS)
METHODS: Final = _rows(_METHODS, "()")
NAMES: Final = frozenset(row.name for row in (*COMMANDS, *METHODS))


def proves(*names: str) -> Callable[[_Test], _Test]:
    """Says that a test fails unless these commands or methods of the real clients work.

    Raises ValueError for a row that does not exist.
    """
    unknown = sorted(set(names) - NAMES)
    if unknown:
        raise ValueError(f"There is no such command or method in tests/compat/rows.py: {unknown}.")
    return lambda test: test


def proofs() -> dict[str, list[str]]:
    """For each proven row the tests, as `file.py::test_name`, read from the files."""
    found: dict[str, list[str]] = {}
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        for test, names in _declared(ast.parse(path.read_text())):
            for name in names:
                found.setdefault(name, []).append(f"{path.name}::{test}")
    return found


def _declared(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "proves":
                    yield node.name, [ast.literal_eval(argument) for argument in decorator.args]
