# SPDX-License-Identifier: GPL-2.0

# What a module of the tests is called with from outside of Kbuild, with KDIR and MO, as the driver's
# own Makefile is. Included by the Makefile next to its source.
ifeq ($(KERNELRELEASE),)
# As in the driver's Makefile.
ifeq ($(ARCH),um)
override KRUSTFLAGS += -Crelocation-model=static -Ccode-model=large
endif

modules:
	$(MAKE) -C $(KDIR) M=$(CURDIR) MO=$(MO) $(if $(KRUSTFLAGS),KRUSTFLAGS='$(strip $(KRUSTFLAGS))') modules

.PHONY: modules
endif
