#!/usr/bin/env bash
# Everything `make demo`, `make check` and `make test` need on a fresh Debian or Raspberry Pi OS: tools/setup.sh STAGE
#
# STAGE  run    .venv with the locked run-time packages and the project; mosquitto
#        check  .venv with the locked test packages too
#        test   check, and mosquitto and its clients, a Modbus peer to test against, three locales of our own, the
#               AsyncAPI validator
#
# All talk goes to standard error, so that the output of what follows stays clean. Ends with one sentence when it
# cannot go on. A second run finds its stamp and returns at once.
set -euo pipefail
exec 1>&2

stage=${1:-run}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # Debian keeps mosquitto there, outside a user's PATH
export PYTHONNOUSERSITE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_USER=0
unset PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX

language=${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}

say() { # English French
    if [[ $language == fr* ]]; then printf '%s\n' "$2"; else printf '%s\n' "$1"; fi
}

stop() { # English French
    say "$@"
    exit 1
}

log=$(mktemp) || stop "The folder for temporary files cannot be written: free some space, then start again." \
    "Le dossier des fichiers temporaires n'accepte pas d'écriture : libérez de la place, puis recommencez."
unfinished=""

leave() { # nothing half-made may look finished
    rm -f "$log"
    if [[ $unfinished ]]; then rm -rf "$venv"; fi
}
trap leave EXIT
trap 'exit 130' INT TERM

find_python() {
    local candidate
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$candidate
            return
        fi
    done
    stop "Jisr needs Python 3.11 or newer and finds none: use Debian 12 or newer, or install python3.11, then start again." \
        "Jisr a besoin de Python 3.11 ou plus récent et n'en trouve pas : prenez Debian 12 ou plus récent, ou installez python3.11, puis recommencez."
}

# --- Debian packages -------------------------------------------------------------------------------------------------

packages=()
reasons=()

need() { # package, why in English, why in French
    packages+=("$1")
    reasons+=("$(say "Installing $1 (Debian): $2." "Installation de $1 (Debian) : $3.")")
}

list_packages() {
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        need "$python-venv" "makes the Python environment .venv" "crée l'environnement Python .venv"
    fi
    if [[ $stage != check ]] && ! command -v mosquitto >/dev/null; then
        need mosquitto "the MQTT broker of the demo and of the tests" "le broker MQTT de la démonstration et des tests"
    fi
    if [[ $stage != test ]]; then return; fi
    if ! command -v localedef >/dev/null || [[ ! -e /usr/share/i18n/locales/ar_MA ]]; then
        need locales "the tests run in French and Arabic locales too" "les tests tournent aussi en français et en arabe"
    fi
    if ! command -v mkfs.ext4 >/dev/null || ! command -v e2fsck >/dev/null; then
        need e2fsprogs "power cuts are tried on a real file system" "les coupures de courant sont essayées sur un vrai système de fichiers"
    fi
    if ! command -v mount >/dev/null; then
        need mount "mounts that file system" "monte ce système de fichiers"
    fi
    if [[ ! -e /usr/include/modbus/modbus.h ]]; then
        need libmodbus-dev "an independent Modbus device to test against" "un appareil Modbus indépendant pour les tests"
    fi
    if ! command -v cc >/dev/null; then
        need gcc "builds that Modbus device" "compile cet appareil Modbus"
    fi
    if [[ ! -e /usr/include/stdio.h ]]; then
        need libc6-dev "builds that Modbus device" "compile cet appareil Modbus"
    fi
    if ! compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null; then
        need libfaketime "starts a box in 1970 and in 2040" "démarre un boîtier en 1970 et en 2040"
    fi
    if ! command -v mosquitto_sub >/dev/null; then
        need mosquitto-clients "runs the examples of docs/platform" "exécute les exemples de docs/platform"
    fi
    if ! command -v jq >/dev/null; then
        need jq "runs the examples of docs/platform" "exécute les exemples de docs/platform"
    fi
    if ! command -v openssl >/dev/null; then
        need openssl "runs the examples of docs/platform" "exécute les exemples de docs/platform"
    fi
    if ! command -v nmap >/dev/null; then
        need nmap "scans a box for open ports" "cherche les ports ouverts d'un boîtier"
    fi
    if ! command -v node >/dev/null; then
        need nodejs "runs the AsyncAPI validator" "exécute le validateur AsyncAPI"
    fi
    if ! command -v npm >/dev/null; then
        need npm "fetches the AsyncAPI validator" "télécharge le validateur AsyncAPI"
    fi
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif [[ -t 0 ]]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

can_be_root() {
    ((EUID == 0)) && return
    command -v sudo >/dev/null || return 1
    if [[ -t 0 ]]; then sudo -v; else sudo -n true 2>/dev/null; fi
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends -qq "${packages[@]}" \
        >"$log" 2>&1 </dev/null
}

install_packages() {
    ((${#packages[@]})) || return 0
    local hand="apt-get install ${packages[*]}"
    command -v apt-get >/dev/null || stop \
        "This system has no apt-get: install ${packages[*]} in its own way, then start again." \
        "Ce système n'a pas apt-get : installez ${packages[*]} à sa manière, puis recommencez."
    can_be_root || stop \
        "This account may not install packages: ask an administrator for « sudo $hand », then start again." \
        "Ce compte ne peut pas installer de paquets : demandez à un administrateur « sudo $hand », puis recommencez."
    printf '%s\n' "${reasons[@]}"
    # The list of packages may be old or absent: a second try after refreshing it.
    if ! apt_install && ! { as_root apt-get update -qq >"$log" 2>&1 </dev/null && apt_install; }; then
        grep '^E:' "$log" | head -n 3 || true
        stop "Debian's packages could not be installed: check the network (or the proxy), or run « sudo $hand » by hand, then start again." \
            "Les paquets Debian n'ont pas pu être installés : vérifiez le réseau (ou le proxy), ou lancez « sudo $hand » à la main, puis recommencez."
    fi
    if [[ " ${packages[*]} " == *" mosquitto "* ]]; then rest_mosquitto; fi
}

# The package starts a broker for the whole machine. We brought it, nobody asked for that one: each demo and test
# starts its own, on its own port. A mosquitto that was there before is left as it is.
rest_mosquitto() {
    if [[ -d /run/systemd/system ]]; then
        as_root systemctl disable --now --quiet mosquitto.service >/dev/null 2>&1 || true
    elif command -v service >/dev/null; then
        as_root service mosquitto stop >/dev/null 2>&1 || true
        as_root update-rc.d mosquitto disable >/dev/null 2>&1 || true
    fi
}

# --- Python packages -------------------------------------------------------------------------------------------------

requirements() { # files of a set
    printf '%s\n' "$root/requirements-build.txt"
    if [[ $1 == run ]]; then printf '%s\n' "$root/requirements.txt"; else printf '%s\n' "$root/requirements-test.txt"; fi
}

key() { # what a finished set was made from
    local files
    mapfile -t files < <(requirements "$1")
    { printf '%s\n' "$root" && cat "${files[@]}" "$root/pyproject.toml"; } | sha256sum
}

is_ready() { # set
    [[ -e $venv/.jisr-$1 && $(<"$venv/.jisr-$1") == "$(key "$1")" ]] && "$venv/bin/python" -c 'import msgspec' 2>/dev/null
}

pip_install() {
    "$venv/bin/python" -m pip install --retries 2 "$@" >"$log" 2>&1 </dev/null && return
    if grep -qiE 'connection|network|resolution|timed out|proxy|max retries|could not find a version' "$log"; then
        stop "The Python packages could not be fetched: check the network (or the proxy), then start again." \
            "Les paquets Python n'ont pas pu être téléchargés : vérifiez le réseau (ou le proxy), puis recommencez."
    fi
    tail -n 20 "$log"
    stop "The Python packages could not be installed, see pip's words above: correct that, then start again." \
        "Les paquets Python n'ont pas pu être installés, voyez le message de pip ci-dessus : corrigez, puis recommencez."
}

is_whole() { # some set was finished here, and nothing was cut short since
    compgen -G "$venv/.jisr-*" >/dev/null && [[ ! -e $venv/.jisr-unfinished ]] &&
        [[ $("$venv/bin/python" -c 'import pip, sys; print(sys.prefix)' 2>/dev/null) == "$venv" ]]
}

make_venv() {
    [[ -w $root ]] || stop "The folder $root cannot be written: copy it to a folder of your own, then start again." \
        "Le dossier $root n'accepte pas d'écriture : copiez-le dans un dossier à vous, puis recommencez."
    # One that was moved, whose Python is gone, or whose making was cut short is made anew.
    if is_whole; then return; fi
    unfinished=yes
    if ! "$python" -m venv --clear "$venv" >"$log" 2>&1; then
        tail -n 3 "$log"
        stop "The Python environment .venv could not be made: free some space, or install $python-venv, then start again." \
            "L'environnement Python .venv n'a pas pu être créé : libérez de la place, ou installez $python-venv, puis recommencez."
    fi
}

install_python_packages() { # set
    if is_ready "$1"; then return; fi
    local files=() file
    while read -r file; do files+=(--requirement "$file"); done < <(requirements "$1")
    make_venv
    rm -f "$venv/.jisr-$1"
    touch "$venv/.jisr-unfinished"
    if [[ $1 == run ]]; then
        say "Installing the locked Python packages in .venv: what Jisr runs on." \
            "Installation des paquets Python verrouillés dans .venv : ce dont Jisr a besoin pour tourner."
    else
        say "Installing the locked Python packages in .venv: what Jisr runs on, and the test tools." \
            "Installation des paquets Python verrouillés dans .venv : de quoi faire tourner Jisr, et les outils de test."
    fi
    pip_install --require-hashes "${files[@]}"
    pip_install --no-index --no-deps --no-build-isolation --editable "$root"
    if [[ $1 == test ]]; then key run >"$venv/.jisr-run"; fi # it holds the run-time set, same lock
    key "$1" >"$venv/.jisr-$1"
    rm "$venv/.jisr-unfinished"
    unfinished=""
}

# --- AsyncAPI validator ----------------------------------------------------------------------------------------------

# In .venv, not in the system. Without it one test is skipped, and says so; where CI is set that test fails instead.
install_validator() {
    local folder=$venv/asyncapi wanted
    wanted=$(cat "$root"/tools/asyncapi/package*.json | sha256sum)
    if [[ -e $folder/.jisr && $(<"$folder/.jisr") == "$wanted" ]]; then return; fi
    rm -rf "$folder"
    mkdir "$folder"
    cp "$root"/tools/asyncapi/package*.json "$folder"
    if npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel=error >"$log" 2>&1 </dev/null; then
        printf '%s\n' "$wanted" >"$folder/.jisr"
    else
        say "The AsyncAPI validator could not be fetched (npm): check the network; its test is skipped meanwhile." \
            "Le validateur AsyncAPI n'a pas pu être téléchargé (npm) : vérifiez le réseau ; son test est sauté entretemps."
    fi
}

# --- Locales ---------------------------------------------------------------------------------------------------------

build_locales() { # in .venv, not in the system
    local name
    mkdir -p "$venv/locale"
    for name in fr_FR ar_MA; do
        if [[ -e $venv/locale/$name.UTF-8 ]]; then continue; fi
        rm -rf "$venv/locale/$name.new"
        if ! localedef --no-archive -i "$name" -f UTF-8 "$venv/locale/$name.new" >"$log" 2>&1; then
            stop "The locale $name.UTF-8 could not be made: reinstall the package « locales », then start again." \
                "La locale $name.UTF-8 n'a pas pu être créée : réinstallez le paquet « locales », puis recommencez."
        fi
        mv "$venv/locale/$name.new" "$venv/locale/$name.UTF-8"
    done
}

exec 9<"${BASH_SOURCE[0]}"
flock 9 # two makes at once: the second waits, then finds it done
find_python
list_packages
install_packages
case $stage in
    run) install_python_packages run ;;
    check | test) install_python_packages test ;;
    *) stop "setup.sh: run, check or test, not $stage." "setup.sh : run, check ou test, pas $stage." ;;
esac
if [[ $stage == test ]]; then
    build_locales
    install_validator
fi
