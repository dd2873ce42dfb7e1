#!/bin/sh
# Installs axe-core, which tests/browser looks for barriers with, into the directory $1. Does nothing
# when that is there already.
set -eu
dir=$1
package=axe-core@4.14.1
integrity=sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==

if [ -f "$dir/installed" ] && [ "$(cat "$dir/installed")" = "$package" ]; then
    exit 0
fi
echo "installing $package into $dir"
rm -rf "$dir"
mkdir -p "$dir"
cd "$dir"
archive=$(npm pack --silent "$package") || {
    echo "cannot download $package from https://registry.npmjs.org" >&2
    echo "(the tests of the web page need the network once; npm's own settings hold)" >&2
    exit 1
}
found=sha512-$(openssl dgst -sha512 -binary "$archive" | base64 -w 0)
[ "$found" = "$integrity" ] || { echo "$archive is another one: $found" >&2; exit 1; }
tar --extract --file "$archive" --strip-components 1 package/axe.min.js package/LICENSE
rm "$archive"
echo "$package" > installed
