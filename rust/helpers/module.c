// SPDX-License-Identifier: GPL-2.0

#include <linux/module.h>

/* What the module! macro has no word for. */
#ifndef __BINDGEN__
MODULE_VERSION("1.0.0-rust");
#endif
