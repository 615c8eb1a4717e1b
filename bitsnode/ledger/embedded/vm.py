"""py-evm as this chain uses it: Cancun rules, native precompiles, runs that can be cut short."""

import time
from typing import Any, Final

from eth.chains.base import Chain
from eth.vm.forks.cancun import CancunVM
from eth.vm.forks.cancun.computation import CancunComputation
from eth.vm.forks.cancun.state import CancunState
from eth.vm.gas_meter import GasMeter, RefundStrategy

from bitsnode.ledger.embedded.errors import refused
from bitsnode.ledger.embedded.precompiles import NATIVE

_STRIDE: Final = 256  # operations between two looks at the clock


class Deadline:
    """Ends a call that takes too long; asked at every operation, looks at the clock rarely.

    The clock is that of this thread's work, so that a busy machine does not end what is short.

    Args:
        seconds: of work that the run may take from now, in the thread that makes this.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.thread_time() + seconds
        self._count = 0

    def check(self) -> None:
        """Count one operation.

        Raises:
            RpcFault: the time is over.
        """
        self._count += 1
        if self._count % _STRIDE == 0 and time.thread_time() > self._end:
            raise refused("execution aborted (timeout)")


class _TimedMeter(GasMeter):
    def __init__(self, gas: int, strategy: RefundStrategy, deadline: Deadline) -> None:
        super().__init__(gas, strategy)
        self._deadline = deadline

    def consume_gas(self, amount: int, reason: str) -> None:
        self._deadline.check()
        super().consume_gas(amount, reason)


_PRECOMPILES: Final = {**CancunComputation.get_precompiles(), **NATIVE}


class _Computation(CancunComputation):
    _precompiles = _PRECOMPILES

    def _configure_gas_meter(self) -> GasMeter:
        meter = super()._configure_gas_meter()
        deadline: Deadline | None = self.state.deadline  # type: ignore[attr-defined]
        if deadline is None:
            return meter
        return _TimedMeter(meter.start_gas, meter.refund_strategy, deadline)


class _State(CancunState):
    computation_class = _Computation
    deadline: Deadline | None = None


class _Vm(CancunVM):
    _state_class = _State


def chain_class(chain_id: int) -> Any:
    """Return the py-evm chain with this id."""
    return Chain.configure("BitsChain", chain_id=chain_id, vm_configuration=((0, _Vm),))
