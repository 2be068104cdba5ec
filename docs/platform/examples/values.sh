#!/usr/bin/env bash
# Prints what the boxes say now, one line a value: time, box, device, metric, value, unit, validity, the device's own text.
# Needs mosquitto_sub (mosquitto-clients) and jq. Reads only; it acknowledges nothing.
#
#   values.sh HOST PORT CLIENT CA CERTIFICATE KEY      CLIENT is the certificate's common name
#
# jq up to 1.6 shows 97.0 as 97: good for eyes, not for storing. The last column has the digits as the device sent them.
set -euo pipefail
host=$1 port=$2 client=$3 ca=$4 certificate=$5 key=$6

mosquitto_sub -V mqttv5 -h "$host" -p "$port" -i "$client" -q 1 \
    --cafile "$ca" --cert "$certificate" --key "$key" \
    -t 'jisr/v1/+/+/live/+' -t 'jisr/v1/+/+/hist/+' -F %p |
    jq --raw-input --raw-output --unbuffered '
        fromjson? // empty                      # a line that is not JSON belongs to a frame in the compact encoding
        | .gateway as $gateway
        | .observations[]
        | select(.kind == "numeric")
        | [.at, $gateway, .device, .metric // .vendor.code,
           (if .value == null then "absent: " + .reason else .value end), .unit, .validity, .vendor.text // ""]
        | @tsv'
