#!/usr/bin/env bash
# The smallest consumer that is right: keeps every frame in a file, and only then tells the box that it has it.
# Needs mosquitto_sub and mosquitto_pub (mosquitto-clients), jq and openssl.
#
#   acknowledge.sh HOST PORT CA ACK_KEY STORE READER WRITER
#
# ACK_KEY is the file with the 64 hexadecimal digits. READER and WRITER are two certificates without their ending: the
# reader's READER.pem and READER.key, and so on; the file's name is the common name. Two, because a broker that takes
# the client id from the certificate puts the first connection off line when a second one of the same name comes.
#
# It is small because it remembers nothing: each word says of one frame "I have these numbers, and speak of no others".
# A frame that comes twice is stored twice: a real consumer keeps ranges in its database and stores once.
set -euo pipefail
host=$1 port=$2 ca=$3 ack_key=$(tr -d '[:space:]' <"$4") store=$5 reader=$6 writer=$7

listen() {
    mosquitto_sub -V mqttv5 -h "$host" -p "$port" -i "$(basename "$reader")" -q 1 \
        --cafile "$ca" --cert "$reader.pem" --key "$reader.key" \
        -t 'jisr/v1/+/+/live/+' -t 'jisr/v1/+/+/hist/+' -F '%t %p'
}

say() { # topic, message
    mosquitto_pub -V mqttv5 -h "$host" -p "$port" -i "$(basename "$writer")" -q 1 \
        --cafile "$ca" --cert "$writer.pem" --key "$writer.key" -t "$1" -m "$2"
}

# The key stands on openssl's command line, where other users of this machine can see it: an example, not a service.
mac_of() { # eight lines, no line feed at the end
    printf '%s\n%s\n%s\n%s\n%s\n%s\n%s\n%s' "$@" |
        openssl dgst -sha256 -mac HMAC -macopt "hexkey:$ack_key" | sed 's/^.*= *//'
}

listen | while read -r topic frame; do
    IFS=/ read -r _ _ site gateway _ lane <<<"$topic"
    # The broker vouches for the topic only: the frame must say the same.
    where=$(jq -r --arg site "$site" --arg gateway "$gateway" --arg lane "$lane" '
        select(.v == 1 and .site == $site and .gateway == $gateway and .lane == $lane
               and (.observations | length) == .count)
        | "\(.spool) \(.epoch) \(.first) \(.first + .count - 1)"' <<<"$frame" 2>/dev/null) || continue
    [[ $where ]] || continue
    read -r spool epoch first last <<<"$where"

    printf '%s\n' "$frame" >>"$store"
    sync "$store" # on disk: from here on the word is true

    if ((first > 1)); then text=1-$((first - 1)) json="[[1,$((first - 1))]]"; else text='' json='[]'; fi
    mac=$(mac_of jisr-ack-1 "$site" "$gateway" "$lane" "$spool" "$epoch" "$last" "$text")
    say "jisr/v1/$site/$gateway/ack/$lane" \
        "{\"spool\":\"$spool\",\"epoch\":$epoch,\"upto\":$last,\"holes\":$json,\"mac\":\"$mac\"}"
    printf '%s/%s: %s to %s\n' "$gateway" "$lane" "$first" "$last"
done
