"""Sound that the playout takes for heard at a `clear`, against what the caller's ear heard, in virtual time.

  PYTHONPATH=tests bench/heard.py             240 random interruptions on each line

The playout is the service's. Twilio's buffer, the network and the ear are the double's. A word is about 300 ms.
"""

from __future__ import annotations

import argparse
import statistics

from support.time.virtual import in_virtual_time
from support.twilio.interruptions import NETWORKS, interrupted

EACH = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20, help=f"calls of {EACH} interruptions on each line")
    given = parser.parse_args()
    print("| line | interruptions | p50, ms | p95, ms | worst, ms |")
    print("|---|---|---|---|---|")
    for name, network in NETWORKS.items():
        calls = [in_virtual_time(interrupted(seed, EACH, network.about)) for seed in range(given.calls)]
        errors = sorted(abs(error) / 8 for call in calls for error in call)
        p95 = errors[int(0.95 * len(errors))]
        print(f"| {name} | {len(errors)} | {statistics.median(errors):.0f} | {p95:.0f} | {errors[-1]:.0f} |")


if __name__ == "__main__":
    main()
