#!/bin/sh
# A bot of curl and jq: it hears every final of every call, and says what it heard. It does not resume.
set -eu
: "${BATKOL_URL:?Set BATKOL_URL to the internal API, such as http://localhost:8081.}"
trap 'trap - TERM; kill 0' TERM HUP  # curl and the loop end with the shell
header="Authorization: Bearer ${BATKOL_TOKEN:-}"

curl --silent --show-error --fail --no-buffer --header "$header" "$BATKOL_URL/v1/events?scope=fleet&type=final" |
  while IFS= read -r line; do
    event=${line#data: }
    [ "$event" != "$line" ] || continue
    sid=$(printf '%s' "$event" | jq --raw-output 'select(.type == "final" and .text != "" and (.unvoiced | not)).call_sid')
    [ -n "$sid" ] || continue
    printf '%s' "$event" | jq '{text: ("כן " + .text)}' |
      curl --silent --show-error --header "$header" --header "Content-Type: application/json" --data @- \
        "$BATKOL_URL/v1/calls/$sid/say?scope=fleet"
  done
