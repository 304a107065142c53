"""``python -m tests.simulation --seeds 10000``: explore histories; ``--seed N --trace`` replays one."""

import argparse
import hashlib
import logging
import sys
import time
from collections import Counter
from multiprocessing import Pool

from tests.simulation.world import World


def explore(seed):
    """Return (seed, violations) of a history; an exception counts as a violation."""
    try:
        return seed, World(seed).run()
    except Exception as problem:
        return seed, [(0, f"the simulation itself failed: {problem!r}")]


def replay(seed, show):
    """Run one history again and print it; return its violations."""
    world = World(seed, trace=True)
    violations = world.run()
    if show:
        print("\n".join(world.scheduler.trace))
    digest = hashlib.sha256("\n".join(world.scheduler.trace).encode()).hexdigest()[:16]
    print(f"seed {seed}: {world.scheduler.steps} turns, history {digest}, {len(violations)} violations")
    return violations


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many histories")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=None, help="processes (default: one per core)")
    parser.add_argument("--until-failure", action="store_true", help="stop at the first history that fails")
    parser.add_argument("--seed", type=int, help="replay this history")
    parser.add_argument("--trace", action="store_true", help="with --seed: print every event of it")
    arguments = parser.parse_args()
    logging.disable()
    if arguments.seed is not None:
        for invariant, what in replay(arguments.seed, arguments.trace):
            print(f"invariant {invariant}: {what}")
        return 0
    began, failed, by_invariant = time.monotonic(), [], Counter()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    with Pool(arguments.jobs) as pool:
        for number, (seed, violations) in enumerate(
            pool.imap(explore, seeds, chunksize=1 if arguments.until_failure else 8), start=1
        ):
            for invariant, what in violations:
                by_invariant[invariant] += 1
                if len(failed) < 20:
                    print(f"seed {seed}: invariant {invariant}: {what}", flush=True)
            failed += [seed] if violations else []
            if failed and arguments.until_failure:
                return 1
            if number % 500 == 0 or number == len(seeds):
                print(
                    f"{number} of {len(seeds)} histories, {time.monotonic() - began:.0f} s, {len(failed)} failed",
                    flush=True,
                )
    if failed:
        print(
            f"violations by invariant: {dict(sorted(by_invariant.items()))}; replay with --seed {min(failed)} --trace"
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
