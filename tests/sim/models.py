"""How long things take on the Tor network, and how long nodes stay: the models and their sources.

| what | model | source |
|---|---|---|
| question on an open circuit | normal, 450 ms mean, 200 ms deviation, at least 100 ms | the warm link that bits is specified and benchmarked for (netem 450 ± 200 ms); the order of Tor Metrics' "onion" round trips, https://metrics.torproject.org/onionperf-latencies.html |
| cold contact | lognormal, median 14.6 s, 95th percentile 27 s | the public network's figures that the architecture takes from others' measurements; tor's own time-outs cut it at the network's ``connect_seconds`` |
| contact to a node that is gone | the whole ``connect_seconds`` | descriptors outlive their service by hours, so tor tries every introduction point (rend-spec-v3) |
| a node's session | Weibull, shape 0.52, scale 1.94 h | the family and the range of shapes that Stutzbach and Rejaie found in three file-sharing networks ("Understanding Churn in Peer-to-Peer Networks", IMC 2006) |
"""  # noqa: E501

import math
import random
from typing import Final

ROUND_TRIP: Final = (0.45, 0.2)  # seconds: mean, standard deviation
LEAST_ROUND_TRIP: Final = 0.1  # seconds
COLD_MEDIAN: Final = 14.6  # seconds
COLD_P95: Final = 27.0  # seconds
COLD_SIGMA: Final = math.log(COLD_P95 / COLD_MEDIAN) / 1.645  # of the logarithm
SESSION_SHAPE: Final = 0.52
SESSION_SCALE: Final = 1.94 * 3600  # seconds


class Times:
    """Draws times from the models.

    Args:
        draws: a seeded source.
    """

    def __init__(self, draws: random.Random) -> None:
        self._draws = draws

    def round_trip(self) -> float:
        """Return the seconds of one question and its answer on an open circuit."""
        return max(LEAST_ROUND_TRIP, self._draws.gauss(*ROUND_TRIP))

    def cold(self) -> float:
        """Return the seconds until an onion that is there has been reached."""
        return self._draws.lognormvariate(math.log(COLD_MEDIAN), COLD_SIGMA)

    def session(self) -> float:
        """Return the seconds that a node stays."""
        return self._draws.weibullvariate(SESSION_SCALE, SESSION_SHAPE)
