// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// For the emulated machine alone: gives its one program the tile registers that are hidden from the kernel
// (run_emulated.sh). They are neither saved nor switched: one program at a time.
#include <linux/kprobes.h>
#include <linux/module.h>

#include <asm/fpu/xcr.h>

// arch_prctl(ARCH_REQ_XCOMP_PERM, XTILEDATA) of a program, which this kernel refuses, succeeds.
static int on_entry(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	const struct pt_regs *program = (const struct pt_regs *)regs->di;

	return !(program->di == 0x1023 && program->si == 18);
}

static int on_return(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	regs->ax = 0;
	return 0;
}

static struct kretprobe probe = {
	.kp.symbol_name = "__x64_sys_arch_prctl",
	.entry_handler = on_entry,
	.handler = on_return,
};

static int __init begin(void)
{
	xsetbv(0, xgetbv(0) | 0x60000);
	return register_kretprobe(&probe);
}
module_init(begin);
MODULE_LICENSE("Dual BSD/GPL");  // what the kernel lends its probes to
