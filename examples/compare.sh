#!/bin/sh
# Two ways to Google compared, without an account: recordings of the built-in voice, and a double that mishears.
#
#     sh examples/compare.sh [HOW MANY RECORDINGS]
set -eu

here=$(dirname "$0")
folder=$(mktemp -d)
batkol speech-double --port 0 --control-port 0 --set misheard=0.1 >"$folder/double.log" &
double=$!
trap 'kill $double; rm -rf "$folder"' EXIT

${PYTHON:-python} "$here/compare.py" "$folder/recordings" "${1:-12}"
until grep -q GCP_STT_ENDPOINT "$folder/double.log"; do
    kill -0 $double
    sleep 0.2
done
GCP_STT_ENDPOINT=$(sed -n 's/.*GCP_STT_ENDPOINT=\([^ ]*\).*/\1/p' "$folder/double.log")
export GCP_STT_ENDPOINT GCP_STT_INSECURE=true

batkol compare "$folder/recordings" --probes 4 --at-once 8 --html comparison.html --json comparison.json
echo "every difference is marked in comparison.html"
