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

echo "[1/3] an environment in .venv, of $("$python" --version)"
if ! .venv/bin/python -c 'import sys' >/dev/null 2>&1; then
    rm -rf .venv
    "$python" -m venv .venv
fi
echo "[2/3] the packages of infra/requirements.lock: about 1 GB"
.venv/bin/python infra/install.py
# The first shows that all of it can be imported, and compiles what the first run would else compile;
# the second takes one core too.
echo "[3/3] first imports, and an archive of Java's classes for quick starts"
.venv/bin/python infra/java_classes.py &
archive=$!
.venv/bin/python infra/first_imports.py
wait "$archive"
