#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes a text from Debian packages, which are fetched and unpacked, not installed. debian-prose has
# six: a dictionary, two commentaries, six novels and two computing glossaries, about 48 MB;
# debian-all also WordNet, a Bible, and the manuals of Linux, Python and PostgreSQL, about 105 MB.
#
#     tools/corpus/fetch_text.sh debian-prose|debian-all FOLDER
#
# FOLDER receives one text file per source (a sentence a line, an empty line after each document)
# and MANIFEST.tsv with package, version, licence, bytes and SHA-256. A folder whose files still
# match their manifest is left alone.
set -euo pipefail

usage() {
  echo "usage: $0 debian-prose|debian-all FOLDER" >&2
  exit 2
}
[ $# -eq 2 ] || usage
here=$(cd "$(dirname "$0")" && pwd)

# package, format, path inside the package, licence of the text
sources=(
  "dict-gcide dictd usr/share/dictd/gcide.dict.dz GPL-2+"
  "sword-comm-tdavid sword usr/share/sword/modules/comments/zcom/tdavid public-domain"
  "r-cran-janeaustenr rdata usr/lib/R/site-library/janeaustenr/data/Rdata.rdb public-domain"
  "sword-comm-mhcc sword usr/share/sword/modules/comments/zcom/mhcc public-domain"
  "dict-foldoc dictd usr/share/dictd/foldoc.dict.dz GFDL-1.1+"
  "dict-jargon dictd usr/share/dictd/jargon.dict.dz public-domain"
)
case $1 in
  debian-prose) ;;
  debian-all)
    sources+=(
      "dict-wn wordnet usr/share/dictd/wn.dict.dz WordNet-3.0"
      "sword-text-web sword usr/share/sword/modules/texts/ztext/engWEB2015eb public-domain"
      "linux-doc-6.1 html usr/share/doc/linux-doc-6.1/html GPL-2"
      "python3.11-doc html usr/share/doc/python3.11/html PSF-2"
      "postgresql-doc-15 html usr/share/doc/postgresql-doc-15/html PostgreSQL"
    )
    ;;
  *) usage ;;
esac
mkdir -p "$2"
cd "$2"

is_complete() {
  [ -e MANIFEST.tsv ] &&
    [ "$(wc -l <MANIFEST.tsv)" -eq $((${#sources[@]} + 1)) ] &&
    awk -F '\t' 'NR > 1 { print $6 "  " $1 }' MANIFEST.tsv | sha256sum --check --status
}
if is_complete; then exit 0; fi

packages=()
for source in "${sources[@]}"; do packages+=("${source%% *}"); done
rm -rf .packages MANIFEST.tsv
mkdir .packages

download() {
  (cd .packages && apt-get -qq -o APT::Sandbox::User=root download "${packages[@]}")
}
if ! download 2>.packages/log; then
  # The package lists are missing or older than the archive.
  if [ "$(id -u)" -eq 0 ]; then apt-get update -qq; else sudo apt-get update -qq; fi
  download
fi

extract() {
  local package format path licence
  read -r package format path licence <<<"$1"
  local deb=(.packages/"$package"_*.deb)
  dpkg -x "${deb[0]}" ".packages/$package"
  python3 "$here/extract.py" "$format" ".packages/$package/$path" "$package.txt"
  printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$package.txt" "$package" \
    "$(dpkg-deb -f "${deb[0]}" Version)" "$licence" "$(stat -c %s "$package.txt")" \
    "$(sha256sum "$package.txt" | cut -d ' ' -f 1)" >".packages/$package.row"
}

# The large dictionary on one core, the others on another.
extract "${sources[0]}" &
dictionary=$!
for source in "${sources[@]:1}"; do extract "$source"; done
wait "$dictionary"

{
  printf 'file\tpackage\tversion\tlicence\tbytes\tsha256\n'
  for package in "${packages[@]}"; do cat ".packages/$package.row"; done
} >.packages/MANIFEST.tsv
mv .packages/MANIFEST.tsv MANIFEST.tsv
rm -rf .packages
