#!/bin/sh
# Make .venv with everything that runs and tests need. Pip, and not a faster installer, because it
# honours the machine's own find-links and constraints, where a CPU build of torch may lie.
set -eu
cd "$(dirname "$0")/.."

python=
for name in python3 python3.11 python3.12 python3.13; do
    if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
        >/dev/null 2>&1; then
        python=$name
        break
    fi
done
if [ -z "$python" ]; then
    echo "No Python 3.11, 3.12 or 3.13 found: install one and run this again." >&2
    exit 1
fi

if ! .venv/bin/python -c 'import sys' >/dev/null 2>&1; then
    rm -rf .venv
    "$python" -m venv .venv
fi
echo "Installing into .venv with $("$python" --version); the first time takes some minutes."
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --constraint infra/requirements.lock --editable '.[demo,dev]'
# The first Spark session of an environment keeps Java's classes, for the others to start faster.
.venv/bin/python -m spark_jobs.first_session ||
    echo "Spark did not start: the next session tries again; 'mrlm doctor' says what to do." >&2
