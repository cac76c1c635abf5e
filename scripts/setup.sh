#!/usr/bin/env bash
# Everything the Makefile's targets need: system tools, and the package in .venv. `setup.sh demo` sets
# up what `make demo` needs and no more. Quick, silent and offline when nothing is missing. Exit status
# 3: a system tool is missing and cannot be installed from here (the message says how); make itself
# then reports "Error 3".
set -euo pipefail
cd -P "$(dirname "$0")/.."

fail() {
    echo "setup: $*" >&2
    exit 3
}

wanted=${1:-all}
case $wanted in
    all) extras=bench,docs,test,train ;;
    demo) extras=demo ;;
    *)
        echo "setup: $wanted is unknown; known: all, demo" >&2
        exit 2
        ;;
esac

have() { command -v "$1" >/dev/null; }

# Prints the version, as in 3.11, if $1 is a Python that the package supports.
python_version() {
    "$1" - 2>/dev/null <<<'
import sys
version = sys.version_info[:2]
print("%d.%d" % version)
sys.exit(version not in ((3, 11), (3, 12)))'
}

find_python() {
    local candidate
    for candidate in python3.11 python3.12 python3; do
        if python_version "$candidate" >/dev/null; then
            echo "$candidate"
            return
        fi
    done
}

arm_gcc_finds_newlib() {
    echo '#include <string.h>' | arm-none-eabi-gcc -E -x c - >/dev/null 2>&1 &&
        [ -e "$(arm-none-eabi-gcc -print-file-name=libc.a)" ]
}

# Only tests need it, to fuzz the firmware's side of the link.
clang_finds_fuzzer() {
    have clang && compgen -G "$(clang -print-runtime-dir)/libclang_rt.fuzzer*" >/dev/null
}

# Only tests need one, for the pages of reports. Where the system's is no Debian package (Ubuntu's is
# a snap), install_browser has Playwright's own.
finds_browser() { have chromium || have google-chrome; }

packages_browser() { grep -qs '^ID=debian' /etc/os-release; }

gcc_finds_libc() { echo '#include <string.h>' | gcc -E -x c - >/dev/null 2>&1; }

# What only tests need.
missing_packages_of_tests() {
    finds_browser || ! packages_browser || echo chromium
    have cppcheck || echo cppcheck
    have ccache || echo ccache
    clang_finds_fuzzer || printf '%s\n' clang libclang-rt-dev
}

# The Debian packages that are missing, one a line.
missing_packages() {
    local python
    have arm-none-eabi-gcc || echo gcc-arm-none-eabi
    arm_gcc_finds_newlib || echo libnewlib-arm-none-eabi
    have qemu-system-arm || echo qemu-system-arm
    have cmake || echo cmake
    have ninja || echo ninja-build
    gcc_finds_libc || printf '%s\n' gcc libc6-dev
    [ "$wanted" = demo ] || missing_packages_of_tests
    python=$(find_python)
    if [ -n "$python" ]; then
        "$python" -c 'import ensurepip, venv' 2>/dev/null ||
            echo "python$(python_version "$python")-venv"
    elif ! have python3; then
        echo python3-venv
    fi
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

can_be_root() {
    [ "$(id -u)" = 0 ] || { have sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; }
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends "$@"
}

install_system_tools() {
    local packages
    mapfile -t packages < <(missing_packages)
    [ ${#packages[@]} -gt 0 ] || return 0
    echo "setup: missing system packages: ${packages[*]}" >&2
    if have apt-get && can_be_root; then
        apt_install "${packages[@]}" ||
            { as_root apt-get update && apt_install "${packages[@]}"; } ||
            true
        mapfile -t packages < <(missing_packages)
    fi
    [ ${#packages[@]} -eq 0 ] ||
        fail "please install what is missing (Python: 3.11 or 3.12):" \
            "apt-get install ${packages[*]}"
}

install_package() {
    local python state
    # A moved checkout needs its environment made anew, a new pyproject.toml an update.
    state="$PWD $(cksum <pyproject.toml)"
    if [ -x .venv/bin/python ]; then
        case $(cat .venv/installed 2>/dev/null) in
            "$state all" | "$state $wanted") return ;;
        esac
    fi
    python=$(find_python)
    [ -n "$python" ] || fail "Python 3.11 or 3.12 is needed and neither was found"
    echo "setup: installing the package and its dependencies in .venv" >&2
    rm -f .venv/installed
    # pip's script says where it was made, in its first line or, of long paths, its second
    [ -x .venv/bin/python ] && grep -qsF "$PWD/.venv/bin/python" .venv/bin/pip ||
        "$python" -m venv --clear .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --editable ".[$extras]"
    echo "$state $wanted" >.venv/installed
}

install_browser() {
    finds_browser || compgen -G "$HOME/.cache/ms-playwright/chromium*" >/dev/null ||
        .venv/bin/python -m playwright install chromium >&2 ||
        echo "setup: no browser: the tests of reports need chromium or google-chrome" >&2
}

install_system_tools
install_package
[ "$wanted" = demo ] || install_browser
