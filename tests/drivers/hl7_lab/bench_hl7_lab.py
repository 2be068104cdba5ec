"""CPU cost of the whole driver, MLLP and answers included; by hand or by the bench (at least 5,000 a second)."""

import time
from typing import cast

from drivers import catalog
from drivers.contract import StreamDriver
from drivers.observation import Result

RESULTS = 30
MESSAGES = 400
_CODES = (
    *("6690-2^WBC^LN", "789-8^RBC^LN", "718-7^HGB^LN", "4544-3^HCT^LN", "787-2^MCV^LN", "785-6^MCH^LN"),
    *("786-4^MCHC^LN", "788-0^RDW-CV^LN", "21000-5^RDW-SD^LN", "777-3^PLT^LN", "32623-1^MPV^LN"),
    *("32207-3^PDW^LN", "10002^PCT^99MRC", "751-8^NEU#^LN", "770-8^NEU%^LN", "731-0^LYM#^LN", "736-9^LYM%^LN"),
    *("742-7^MON#^LN", "5905-5^MON%^LN", "711-2^EOS#^LN", "713-8^EOS%^LN", "704-7^BAS#^LN", "706-2^BAS%^LN"),
    *("26477-0^*ALY#^LN", "13046-8^*ALY%^LN", "10000^*LIC#^99MRC", "10001^*LIC%^99MRC"),
    *("10027^MID#^99MRC", "10029^GRAN#^99MRC", "10030^MID%^99MRC"),
)


def _message(serial: int) -> bytes:
    segments = [
        rf"MSH|^~\&|BC-5380|Mindray|||20260101{serial % 86400:06d}||ORU^R01|{serial}|P|2.3.1||||||UNICODE",
        "PID|1||4711^^^^MR||DOE^JANE||19700101000000|Female",
        "PV1|1||REA^^4",
        f"OBR|1||S{serial:06d}|00001^Automated Count^99MRC||20260101070000|20260101080000|||||||||||||||||HM",
    ]
    segments += [
        f"OBX|{n}|NM|{code}||{n}.{serial % 10:02d}|10*3/uL|4.00-10.00|L~N|||F"
        for n, code in enumerate(_CODES[:RESULTS], 1)
    ]
    return b"\x0b" + "".join(f"{segment}\r" for segment in segments).encode() + b"\x1c\r"


def messages_per_cpu_second() -> float:
    """30-result messages read and answered per second of CPU, the best of five rounds."""
    best = 0.0
    for _ in range(5):
        driver = cast(StreamDriver, catalog.create(catalog.profile("hl7_lab", "mindray_bc")))
        driver.start(0.0)
        traffic = [_message(serial) for serial in range(MESSAGES)]
        read = answered = 0
        began = time.process_time()
        for number, message in enumerate(traffic):
            output = driver.receive(message, float(number))
            read += sum(isinstance(seen, Result) for seen in output.observations)
            answered += b"MSA|AA|" in output.send
        spent = time.process_time() - began
        if (read, answered) != (MESSAGES * RESULTS, MESSAGES):
            raise AssertionError(f"{read} results of {MESSAGES * RESULTS}, {answered} answers")
        best = max(best, MESSAGES / spent)
    return best
