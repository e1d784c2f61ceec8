"""Guests on libvirt, accelerated by KVM or emulated by QEMU."""
