"""`python -m metabin train`: a training run from the command line.

    python -m metabin train --method bin --run-dir build/runs/bin     # on streets, on a laptop
    python -m metabin train --profile paper --data-root ~/reid --protocol no_duke
    python -m metabin train --data-root ~/reid --sources market1501 people.csv --targets my_folder
    torchrun --nproc-per-node 4 -m metabin train --profile paper ...  # on four GPUs

The same command goes on where it stopped. Its folder holds the last two checkpoints,
metrics.jsonl with a line for every `--log-every` steps, and in the end model.safetensors, the
weights for retrieval; with `--targets`, also result.json, what `python -m metabin test` says.
Exit codes: 1 when the training diverged, 2 when something is wrong around it, 130 and 143 after
Ctrl-C and SIGTERM.
"""

import sys
from collections.abc import Callable

from metabin.runs.flags import parser


def main(arguments: list[str] | None = None) -> None:
    """Train from the command line; the same command goes on where it stopped."""
    flags = parser(__doc__)
    options = flags.parse_args(arguments)
    if options.log_every < 1:
        flags.error(f"--log-every {options.log_every}: a number of steps from 1 is needed")
    if not options.save_every >= 0:
        flags.error(f"--save-every {options.save_every}: a number of seconds from 0 is needed")

    from metabin.runs import processes, test_command, training  # torch: `--help` doesn't wait

    # Of several processes, one on each machine says what is wrong.
    line = "{}\n" if processes.is_first_of_machine() else ""
    try:
        if options.targets:
            check_targets(training.test_words(options), training.say)
        number = training.job(options)
    except FloatingPointError as error:
        flags.exit(1, line.format(error))
    except (ValueError, OSError, ImportError) as error:
        flags.exit(2, line.format(error))
    except KeyboardInterrupt:
        flags.exit(130, line.format("stopped before the training began"))
    if number:
        sys.exit(128 + number)
    if options.targets and processes.is_first():
        test_command.main(training.test_words(options))


def check_targets(words: list[str], say: Callable[[str], object]) -> None:
    """Say before a training which targets can't be tested after it; ValueError where none can."""
    from metabin.runs import processes, targets, test_command

    options = test_command.parser().parse_args(words)
    protocol = targets.open_targets(options, (1, 1))
    if not protocol.tests:
        raise ValueError(f"--targets: nothing can be tested. {protocol.why_missing}")
    for name, reason in protocol.missing.items():
        if name in protocol.run.targets and processes.is_first():
            say(f"will be tested without {name}: {reason}")
