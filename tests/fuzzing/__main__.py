"""Try damaged files on every reader: ``python -m tests.fuzzing --cases 100000``."""

import argparse
import sys
import time

from tests.fuzzing.readers import READERS
from tests.fuzzing.trying import damaged, tried


def main() -> int:
    """Run the command; return 1 if something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000, help="in all; default: 100000")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--reader", choices=[reader.name for reader in READERS])
    parser.add_argument("--write", type=int, metavar="CASE", help="write one case's file to stdout")
    args = parser.parse_args()
    readers = [reader for reader in READERS if args.reader in (None, reader.name)]
    if args.write is not None:
        import tempfile
        from pathlib import Path

        with tempfile.TemporaryDirectory() as folder:
            bases = list(readers[0].bases(Path(folder)))
        sys.stdout.buffer.write(damaged(readers[0], bases, args.seed, args.write))
        return 0
    findings: list[str] = []
    for reader in readers:
        started = time.perf_counter()
        count = -(-args.cases // (len(readers) * reader.share))
        outcome = tried(reader, args.seed, range(count))
        findings += outcome.findings
        seconds = time.perf_counter() - started
        print(
            f"{reader.name:20} {count} cases, {outcome.results} read, "
            f"{outcome.documented} refused, {seconds:.0f} s"
        )
        for finding in outcome.findings:
            print(f"  {finding}", flush=True)
    print("nothing found" if not findings else f"{len(findings)} found")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
