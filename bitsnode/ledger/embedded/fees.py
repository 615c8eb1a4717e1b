"""What a transaction costs now, and what it did in blocks before."""

from functools import partial
from typing import Any, Final

from bitsnode.ledger.embedded import params as parse
from bitsnode.ledger.embedded import views
from bitsnode.ledger.embedded.chain import TIP, EmbeddedChain
from bitsnode.ledger.embedded.params import Params
from bitsnode.ledger.embedded.registry import Table, enter
from bitsnode.ledger.embedded.views import Json

MAX_FEE_BLOCKS: Final = 1_024  # of one eth_feeHistory, as in go-ethereum
MAX_PERCENTILES: Final = 100

FEES: Final[Table] = {}
method = partial(enter, FEES)


@method("eth_gasPrice")
def _gas_price(chain: EmbeddedChain, params: Params) -> Json:
    return views.number(_base_fee(chain) + TIP)


@method("eth_maxPriorityFeePerGas")
def _priority_fee(chain: EmbeddedChain, params: Params) -> Json:
    return views.number(TIP)


@method("eth_blobBaseFee")
def _blob_base_fee(chain: EmbeddedChain, params: Params) -> Json:
    return "0x1"


def _base_fee(chain: EmbeddedChain) -> int:
    return chain.next_header().base_fee_per_gas or 0


@method("eth_feeHistory", 3)
def _fee_history(chain: EmbeddedChain, params: Params) -> Json:
    given: Any = params.get(0)
    plain = isinstance(given, int) and not isinstance(given, bool)
    count: int = given if plain else params.quantity(0)
    newest = parse.known_header(chain, params.get(1)).block_number
    last = min(newest, chain.height)
    percentiles = _percentiles(params.get(2))
    first = max(0, last + 1 - min(max(count, 0), MAX_FEE_BLOCKS))
    headers: list[Any] = [chain.header(number) for number in range(first, last + 1)]
    fees = [header.base_fee_per_gas for header in headers]
    following = chain.header(last + 1) or chain.next_header()
    answer = {
        "oldestBlock": views.number(first),
        "baseFeePerGas": [views.number(fee) for fee in (*fees, following.base_fee_per_gas)],
        "gasUsedRatio": [header.gas_used / header.gas_limit for header in headers],
        "baseFeePerBlobGas": ["0x1"] * (len(headers) + 1),
        "blobGasUsedRatio": [0.0] * len(headers),
    }
    if percentiles:
        answer["reward"] = [_rewards(chain, header, percentiles) for header in headers]
    return answer


def _percentiles(value: Any) -> list[float]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > MAX_PERCENTILES:
        raise parse.invalid(f"a list of at most {MAX_PERCENTILES} percentiles expected")
    for one in value:
        if isinstance(one, bool) or not isinstance(one, int | float) or not 0 <= one <= 100:
            raise parse.invalid("percentiles are numbers from 0 to 100")
    if value != sorted(value):
        raise parse.invalid("percentiles must not fall")
    return [float(one) for one in value]


def _rewards(chain: EmbeddedChain, header: Any, percentiles: list[float]) -> list[str]:
    mined = chain.records.in_block(header.block_number)
    tips = sorted((one.gas_price - header.base_fee_per_gas, one.gas_used) for one in mined)
    rewards = []
    for percentile in percentiles:
        threshold, total, tip = header.gas_used * percentile / 100, 0, 0
        for tip, used in tips:  # noqa: B007 - the last one counts
            total += used
            if total >= threshold:
                break
        rewards.append(views.number(tip))
    return rewards
