#!/bin/sh
# Installs the clients that tests/clients runs into the directory $1: a venv of Python, and in it
# ansible_collections/ with the one module of community.general that is tested. Does nothing when
# that is there already.
set -eu
venv=$1
here=$(dirname "$0")
# The package with all collections: big, so it is looked into and not installed.
ansible=ansible==12.3.0

wanted=$(cat "$here/requirements.txt"; echo "$ansible")
if [ -f "$venv/installed" ] && [ "$(cat "$venv/installed")" = "$wanted" ]; then
    exit 0
fi
failed() {
    echo "$1" >&2
    echo "The tests of real clients need the network once: Python's packages are at" >&2
    echo "https://pypi.org, unless PIP_INDEX_URL or pip.conf say something else." >&2
    exit 1
}
echo "installing the clients of tests/clients into $venv"
rm -rf "$venv"
/usr/bin/python3 -m venv "$venv"
pip="$venv/bin/pip --quiet --disable-pip-version-check"
$pip install -r "$here/requirements.txt" 'setuptools<81' ||
    failed "cannot install what tests/clients/requirements.txt lists"
$pip download --no-deps --only-binary :all: --dest "$venv/download" "$ansible" ||
    failed "cannot download the package $ansible"
"$venv/bin/python" - "$venv" <<'PYTHON'
import glob, sys, zipfile
venv = sys.argv[1]
within = "ansible_collections/community/general/"
wheel, = glob.glob(venv + "/download/*.whl")
with zipfile.ZipFile(wheel) as archive:
    for name in "plugins/modules/supervisorctl.py", "MANIFEST.json":
        archive.extract(within + name, venv)
PYTHON
rm -rf "$venv/download"
echo "$wanted" > "$venv/installed"
