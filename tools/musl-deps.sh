#!/bin/bash
# Builds the static libraries the product links, with our own musl, into PREFIX.
#
#   tools/musl-deps.sh PREFIX [ARCH]      ARCH: x86_64 (default: this machine's) or aarch64
#   tools/musl-deps.sh --flags PREFIX     print what a link against PREFIX needs
#   tools/musl-deps.sh --packages         print the Debian/Ubuntu packages the build itself needs
#
#   JOBS=N          parallel jobs (default: one per processor)
#   DEBIAN_MIRROR   http://host/debian (default: the one this machine's apt uses, else Debian's own)
#
# All sources are Debian trixie's source packages, with Debian's fixes, verified through apt.
# The same script serves `make static` and the Dockerfile. It writes nothing outside PREFIX and
# PREFIX.work, can be killed and run again, and two runs for one PREFIX wait for each other.
set -euo pipefail

LIBS="-larchive -lzstd -llzma -lcurl -lssh2 -ljansson -lyaml -lpcre2-8 -lssl -lcrypto -lz"
SOURCES="musl openssl libssh2 jansson libyaml zlib pcre2 xz-utils libzstd libarchive curl"

case ${1:-} in
--flags) echo "-L${2:?prefix} $LIBS"; exit ;;
--packages) echo "gcc make perl xz-utils patch dpkg-dev ca-certificates debian-archive-keyring linux-libc-dev"; exit ;;
'' | -*) sed -n '2,/^set /s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac

arch=${2:-$(uname -m)}
case $arch in
x86_64) gnu=x86_64-linux-gnu ossl=linux-x86_64 machine= ;;
# Debian's libgcc belongs to glibc: its outline atomics would want __getauxval.
aarch64) gnu=aarch64-linux-gnu ossl=linux-aarch64 machine=-mno-outline-atomics ;;
*) echo "musl-deps: architecture '$arch' is not supported (x86_64, aarch64)" >&2; exit 2 ;;
esac
tool=; [ "$arch" = "$(uname -m)" ] || tool=$gnu-

mkdir -p "$1" "$1.work"
prefix=$(cd "$1" && pwd) work=$(cd "$1.work" && pwd)
exec 9>"$work/lock"
flock -n 9 || { echo "musl-deps: waiting for another build of $prefix"; flock 9; }
[ ! -e "$prefix/.done" ] || exit 0

jobs=${JOBS:-$(nproc)}
src=$work/src build=$work/build log=$work/log
mkdir -p "$prefix"/{include,lib} "$src" "$build" "$log"
# -fPIE code serves both -static and -static-pie.
opt="-O2 $machine -g0 -fPIE -ffunction-sections -fdata-sections -fstack-protector-strong"
export AR=${tool}ar RANLIB=${tool}ranlib STRIP=${tool}strip
say() { printf 'musl-deps: %4ds  %s\n' "$SECONDS" "$*"; }

# ---- sources: a private apt configuration, so that the machine's own stays untouched

mirror() {
	local found
	found=$(sed -nE 's,^(URIs: *|deb +(\[[^]]*\] +)?)(https?://[^ ]+/debian)/?( .*)?$,\3,p' \
		/etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list /etc/apt/sources.list 2>/dev/null | head -1 || true)
	# Where the machine's own sources are another distribution's: the mirror Debian's bootstrapper defaults to.
	[ -n "$found" ] || found=$(grep -oEm1 'https?://[a-z0-9.]+/debian\b' "$(command -v mmdebstrap || echo /dev/null)" || true)
	found=${DEBIAN_MIRROR:-$found}
	[ -n "$found" ] || { echo "musl-deps: no Debian mirror known: set DEBIAN_MIRROR, or install mmdebstrap" >&2; return 1; }
	echo "$found"
}

# The newest source of every package that the mirror serves, checked against Debian's signature. An index may
# name files that its mirror does not hold, or not yet: then the version before, which the suite after trixie may
# still list (however old that list is: no version above trixie's own is taken from it).
fetch() {
	local apt=$work/apt keys=/usr/share/keyrings/debian-archive-keyring where name
	[ -e "$keys.gpg" ] && keys=$keys.gpg || keys=$keys.pgp
	rm -rf "$apt"; mkdir -p "$apt"/{conf.d,prefs.d,lists/partial,archives/partial}; : >"$apt/status"
	where=$(mirror)
	cat >"$apt/sources.list" <<-X
	deb-src [signed-by=$keys] $where trixie main
	deb-src [signed-by=$keys check-valid-until=no] $where forky main
	deb-src [signed-by=$keys] $where-security trixie-security main
	X
	cat >"$apt/conf" <<-X
	Dir::Etc "$apt"; Dir::Etc::sourcelist "$apt/sources.list"; Dir::Etc::sourceparts "-";
	Dir::Etc::parts "$apt/conf.d"; Dir::Etc::preferencesparts "$apt/prefs.d";
	Dir::State "$apt"; Dir::State::status "$apt/status"; Dir::Cache "$apt";
	APT::Sandbox::User "root"; Acquire::Languages "none"; Acquire::Retries "3";
	X
	export APT_CONFIG=$apt/conf
	apt-get -qq update || say "some indexes are out of reach"
	cd "$src" && rm -rf ./* || return 1
	for name in $SOURCES; do fetch_one "$name" || return 1; done
}

fetch_one() { # NAME
	local listed limit version
	listed=$(apt-cache madison "$1" | awk '$NF == "Sources" { print $3, $6 }' | sort -u)
	limit=$(echo "$listed" | awk '$2 ~ /^trixie/ { print $1 }' | sort -V | tail -1)
	[ -n "$limit" ] || { echo "musl-deps: no source of $1 is listed" >&2; return 1; }
	for version in $(echo "$listed" | cut -d' ' -f1 | sort -Vru); do
		dpkg --compare-versions "$version" le "$limit" || continue
		apt-get -qq source --download-only "$1=$version" && return
		say "$1 $version is listed and not served"
	done
	echo "musl-deps: no listed source of $1 can be had" >&2
	return 1
}

if [ ! -e "$src/.ok" ]; then
	(fetch) 2>"$log/apt" || { tail -5 "$log/apt" >&2; exit 1; }
	touch "$src/.ok"
fi

dir() { # NAME: its unpacked source, with a slash at the end
	local d; d=$(echo "$src/$1"-[0-9]*/)
	[ -d "$d" ] || { echo "no source of $1" >&2; return 1; }
	echo "$d"
}

step() { # NAME: run build_NAME in a directory of its own, once
	local rc=0
	[ ! -e "$prefix/.done-$1" ] || return 0
	rm -rf "${build:?}/$1"; mkdir -p "$build/$1"
	# Not "( … ) || rc=$?": that would switch -e off inside.
	set +e; (cd "$build/$1"; set -ex; "build_$1") >"$log/$1" 2>&1; rc=$?; set -e
	[ $rc = 0 ] || { tail -30 "$log/$1" >&2; echo "musl-deps: $1 failed, whole log: $log/$1" >&2; exit 1; }
	touch "$prefix/.done-$1"; say "$1"
}

build_sources() {
	local dsc
	cd "$src"; rm -rf ./*/
	for dsc in *.dsc; do dpkg-source --no-check -x "$dsc"; done
	# Debian's patches touch configure.ac and Makefile.am: age those, so that make does not
	# want to rerun automake over the shipped configure, which is still good.
	find . \( -name Makefile.am -o -name configure.ac -o -name '*.m4' \) -exec touch -d 2020-01-01 {} +
	printf '%s\n' *.dsc >"$prefix/versions"
}
step sources

# ---- musl, and the compiler wrapper that everything after it uses

build_musl() {
	local d; d=$(dir musl)
	CC=${tool}gcc "${d}configure" --prefix="$prefix" --syslibdir="$prefix/lib" --target="$arch-linux-musl" \
		--disable-shared --enable-wrapper=gcc CROSS_COMPILE="$tool" CFLAGS="$opt"
	make -j"$jobs"; make install
	# Only the kernel's headers are linked in. The whole of /usr/include would let glibc's
	# headers in wherever musl has none: silent ABI traps.
	local h asm=/usr/include/$gnu/asm
	for h in linux asm-generic mtd; do ln -sfn "/usr/include/$h" "$prefix/include/$h"; done
	if [ -d "/usr/$gnu/include/asm" ]; then
		asm=/usr/$gnu/include/asm
		for h in linux asm-generic; do ln -sfn "/usr/$gnu/include/$h" "$prefix/include/$h"; done
	fi
	ln -sfn "$asm" "$prefix/include/asm"
}
step musl

export CC=$prefix/bin/musl-gcc REALGCC=${tool}gcc PKG_CONFIG=/bin/false
export CFLAGS=$opt CPPFLAGS=-I$prefix/include LDFLAGS="-L$prefix/lib -static"

configure() { # NAME OPTION…
	local d; d=$(dir "$1"); shift
	"${d}configure" --host="$arch-linux-musl" --prefix="$prefix" --disable-shared --enable-static "$@"
}

# ---- the libraries; what is switched off is what neither HTTPS nor SSH needs

build_openssl() {
	local d; d=$(dir openssl)
	# 700 KB of unrolled AVX-512 AES for bulk rates nobody here needs: with the assembler probe
	# failing, the AES-NI and AVX code is used.
	# shellcheck disable=SC2016
	sed -E -i 's/^( *\$avx512vaes *=).*/\1 0;/' "$d"crypto/{modes/asm/aes-gcm-avx512,aes/asm/aesni-xts-avx512}.pl
	# -Os: the hot paths are assembler.
	perl "${d}Configure" $ossl --prefix="$prefix" --libdir=lib --openssldir=/etc/ssl \
		no-shared no-tests no-apps no-docs no-module no-dso no-legacy no-engine no-async \
		no-afalgeng no-ktls no-secure-memory no-comp no-ssl3 no-dtls no-sctp no-quic \
		no-srp no-srtp no-psk no-gost no-cms no-ts no-ct no-cmp no-rfc3779 no-ui-console \
		no-md4 no-mdc2 no-whirlpool no-rmd160 no-idea no-seed no-rc2 no-rc4 no-bf no-cast \
		no-camellia no-aria no-sm2 no-sm3 no-sm4 no-siphash no-dsa no-ec2m \
		no-ml-dsa no-slh-dsa no-nextprotoneg no-multiblock no-ssl-trace no-sse2 \
		CC="$CC" AR="$AR" RANLIB="$RANLIB" CFLAGS="${opt/-O2/-Os}"
	make -j"$jobs" build_libs; make install_dev
}

build_libssh2() {
	configure libssh2 --with-crypto=openssl --with-libssl-prefix="$prefix" --without-libz \
		--disable-examples-build --disable-tests --disable-debug --disable-rpath
	make -j"$jobs" -C src; make -C src install
	cp "$(dir libssh2)"include/*.h "$prefix/include"
}

build_jansson() { # ships no configure; two small headers are all it would have made
	local d name f; d=$(dir jansson)
	sed 's/@json_inline@/inline/;s/@json_have_\(localeconv\|long_long\|atomic_builtins\|sync_builtins\)@/1/' \
		"${d}src/jansson_config.h.in" >jansson_config.h
	if grep @json jansson_config.h; then echo "jansson_config.h.in has a setting we do not know"; return 1; fi
	for name in STDINT_H FCNTL_H UNISTD_H SCHED_H SYS_PARAM_H SYS_STAT_H SYS_TIME_H SYS_TYPES_H ENDIAN_H LOCALE_H \
		GETPID GETTIMEOFDAY OPEN READ CLOSE STAT SCHED_YIELD STRTOLL LOCALECONV SETLOCALE ATOMIC_BUILTINS SYNC_BUILTINS; do
		echo "#define HAVE_$name 1"
	done >jansson_private_config.h
	printf '#define USE_URANDOM 1\n#define INITIAL_HASHTABLE_ORDER 3\n' >>jansson_private_config.h
	for f in "$d"src/*.c; do $CC $opt -DHAVE_CONFIG_H -I. -I"${d}src" -c "$f"; done
	$AR rcs "$prefix/lib/libjansson.a" ./*.o
	cp "${d}src/jansson.h" jansson_config.h "$prefix/include"
}

build_libyaml() {
	local d f v; d=$(dir libyaml); v=$(basename "$d"); v=${v#*-}
	for f in "$d"src/*.c; do
		$CC $opt -I"${d}include" -I"${d}src" -DYAML_VERSION_STRING="\"$v\"" -DYAML_VERSION_MAJOR="${v%%.*}" \
			-DYAML_VERSION_MINOR="$(echo "$v" | cut -d. -f2)" -DYAML_VERSION_PATCH="${v##*.}" -c "$f"
	done
	$AR rcs "$prefix/lib/libyaml.a" ./*.o
	cp "${d}include/yaml.h" "$prefix/include"
}

build_zlib() {
	cp -r "$(dir zlib)". .
	CHOST=$arch-linux-musl ./configure --static --prefix="$prefix"
	make -j"$jobs" libz.a; cp libz.a "$prefix/lib"; cp zlib.h zconf.h "$prefix/include"
}

build_pcre2() {
	configure pcre2 --enable-unicode --disable-cpp --disable-pcre2-16 --disable-pcre2-32
	make -j"$jobs" libpcre2-8.la
	cp .libs/libpcre2-8.a "$prefix/lib"; cp src/pcre2.h "$prefix/include"
}

build_xz() {
	configure xz-utils --disable-{xz,xzdec,lzmadec,lzmainfo,lzma-links,scripts,doc,nls} --enable-threads=posix
	make -j"$jobs" -C src/liblzma; make -C src/liblzma install
}

build_zstd() {
	cp -r "$(dir libzstd)lib" .
	make -j"$jobs" -C lib libzstd.a-nomt CC="$CC" CFLAGS="$opt" CPPFLAGS= \
		ZSTD_LEGACY_SUPPORT=0 ZSTD_LIB_DEPRECATED=0 ZSTD_LIB_DICTBUILDER=0
	cp lib/libzstd.a "$prefix/lib"; cp lib/zstd.h lib/zstd_errors.h "$prefix/include"
}

build_archive() {
	configure libarchive --disable-bsd{tar,cat,cpio,unzip} --disable-acl --disable-xattr \
		--without-{xml2,expat,bz2lib,libb2,lz4,lzo2,cng,openssl,mbedtls,nettle,iconv} --with-{zlib,lzma,zstd}
	make -j"$jobs" libarchive.la
	cp .libs/libarchive.a "$prefix/lib"; cp "$(dir libarchive)"libarchive/archive{,_entry}.h "$prefix/include"
}

build_curl() {
	configure curl --with-openssl="$prefix" --with-zlib="$prefix" \
		--with-ca-bundle=/etc/ssl/certs/ca-certificates.crt --without-ca-path \
		--without-{zstd,brotli,libpsl,libidn2,nghttp2,libssh2,librtmp,libgsasl,zsh-functions-dir,fish-functions-dir} \
		--disable-{ftp,file,ldap,ldaps,rtsp,dict,telnet,tftp,pop3,imap,smb,smtp,gopher,mqtt,ipfs,websockets} \
		--disable-{manual,docs,libcurl-option,ntlm,tls-srp,kerberos-auth,negotiate-auth,aws,doh,alt-svc,hsts,netrc,sspi,ares} \
		--disable-{unix-sockets,headers-api,dnsshuffle,progress-meter,get-easy-options,form-api,bindlocal} \
		--disable-{dependency-tracking,symbol-hiding} \
		--enable-{threaded-resolver,ipv6,http-auth,basic-auth,bearer-auth,digest-auth,proxy,cookies,mime}
	make -j"$jobs" -C lib libcurl.la
	cp lib/.libs/libcurl.a "$prefix/lib"
	mkdir -p "$prefix/include/curl"; cp "$(dir curl)"include/curl/*.h "$prefix/include/curl"
}

build_unwind() { # nothing unwinds a stack in the product, and the compiler's flags would miss the assembler
	local lib
	for lib in "$prefix"/lib/*.a; do "${tool}objcopy" --remove-section=.eh_frame "$lib"; done
}

for lib in openssl libssh2 jansson libyaml zlib pcre2 xz zstd archive curl unwind; do step $lib; done
rm -rf "$src" "$build" "$work/apt"
touch "$prefix/.done"
say "done: $prefix"
