#!/usr/bin/env bash
# Boots an emulated Sapphire Rapids and runs one static program in it, with AVX-512 as CPUID reports it, and AMX where
# the setup could build the module that shows it. Prints what the
# program prints and ends with its status; 99 when the machine did not come up.
#
#   scripts/isa/run_emulated.sh <folder of setup_emulator.sh> <program> [arguments]
#
# About 20 s for the boot, then some 60 million instructions a second; the guest's clock means nothing.
#   ARROWMIND_EMULATOR_SECONDS   end it after so long (1800)
set -euo pipefail

root=$(realpath "$1")
program=$(realpath "$2")
shift 2
tree=$root/tree
libraries=$tree/usr/lib/x86_64-linux-gnu
seconds=${ARROWMIND_EMULATOR_SECONDS:-1800}

work=$(mktemp -d "$root/run.XXXXXX")
trap 'rm -rf "$work"' EXIT

# A program of the emulator's own Debian, with its own libraries.
foreign() { "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" "$tree/usr/bin/$@"; }

# The guest's file system: a shell, the program, and what the first process does.
guest=$work/guest
mkdir -p "$guest"/{bin,dev,proc,sys} "$work/iso"
cp "$tree/usr/bin/busybox" "$guest/bin/busybox"
ln -s busybox "$guest/bin/sh"
cp "$program" "$guest/program"
if [[ -f $root/tiles.ko ]]; then cp "$root/tiles.ko" "$guest"; fi
arguments=
(($# == 0)) || arguments=$(printf '%q ' "$@")
cat >"$guest/init" <<INIT
#!/bin/sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
exec </dev/ttyS0 >/dev/ttyS0 2>&1
[ ! -f /tiles.ko ] || /bin/busybox insmod /tiles.ko || echo "the tiles stay hidden"
echo "guest-begins"
/program $arguments
echo "guest-status \$?"
/bin/busybox sync
/bin/busybox reboot -f
INIT
chmod +x "$guest/init"
(cd "$guest" && find . | "$tree/usr/bin/busybox" cpio -o -H newc -R 0:0 2>/dev/null | gzip -1) >"$work/iso/initrd.gz"

# A disc that starts the kernel. The emulator does not switch AMX and protection keys as this kernel wants, and has no
# ACPI the kernel could use: those are hidden from it. tiles.ko gives AMX to the one program, behind the kernel's back.
cp "$tree/boot/vmlinuz" "$tree/usr/lib/ISOLINUX/isolinux.bin" "$tree/usr/lib/syslinux/modules/bios/ldlinux.c32" "$work/iso/"
hidden=amx_tile,xsaves,umip,pku,fsrm,rdpid,waitpkg,ibt,shstk,serialize,movdiri,movdir64b,enqcmd,cldemote
cat >"$work/iso/isolinux.cfg" <<BOOT
DEFAULT guest
PROMPT 0
TIMEOUT 0
LABEL guest
 KERNEL vmlinuz
 APPEND initrd=initrd.gz console=ttyS0,115200 quiet nokaslr mitigations=off nosmp nolapic acpi=off no5lvl tsc=reliable lsm=capability panic=-1 reboot=t clearcpuid=$hidden
BOOT
foreign xorriso -as mkisofs -quiet -o "$work/disc.iso" -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 \
  -boot-info-table "$work/iso" 2>"$work/xorriso.log" || { cat "$work/xorriso.log" >&2; exit 99; }

# The machine ends by a triple fault, which the emulator reports as a failure of its own.
cat >"$work/machine" <<MACHINE
plugin_ctrl: unmapped=1, biosdev=1, serial=1
config_interface: textconfig
display_library: rfb, options="timeout=0"
cpu: model=sapphire_rapids, count=1, ips=10000000, reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest=512, host=512
romimage: file=$tree/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=$tree/usr/share/bochs/VGABIOS-lgpl-latest
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=$work/disc.iso, status=inserted
boot: cdrom
clock: sync=none, time0=local, rtc_sync=0
com1: enabled=1, mode=file, dev=$work/serial
log: $work/emulator.log
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
MACHINE
cd "$work"
export LTDL_LIBRARY_PATH=$libraries/bochs/plugins BXSHARE=$tree/usr/share/bochs
# Debian's build waits in its debugger for a command: continue.
echo c | timeout -k 5 "$seconds" "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" "$tree/usr/bin/bochs-bin" \
  -q -f "$work/machine" >"$work/console" 2>&1 || true

tr -d '\r' <"$work/serial" >"$work/output" 2>/dev/null || : >"$work/output"
sed -n '/^guest-begins$/,/^guest-status /p' "$work/output" | sed '/^guest-/d'
status=$(sed -n 's/^guest-status //p' "$work/output" | tail -n 1)
if [[ -z $status ]]; then
  echo "the emulated machine did not finish within ${seconds} s; its last words:" >&2
  tail -n 5 "$work/output" >&2
  tail -n 5 "$work/console" >&2
  tail -n 20 "$work/emulator.log" 2>/dev/null >&2
  exit 99
fi
exit "$status"
