/* Decides which system calls are none of ours. The filter is a list of refusals: name services load
 * what they need. */
#define _GNU_SOURCE 1 /* what only Linux has */
#include "host/confine.h"

#include <assert.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define OUR_ARCHITECTURE AUDIT_ARCH_X86_64
#define FOREIGN_FROM 0x40000000u /* the x32 numbers of the same calls */
#elif defined(__aarch64__)
#define OUR_ARCHITECTURE AUDIT_ARCH_AARCH64
#define FOREIGN_FROM 0xffffffffu
#endif

#ifdef OUR_ARCHITECTURE

static const unsigned refused[] = {
    /* other programs and other processes */
    SYS_execve,
    SYS_execveat,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
    SYS_kill,
    SYS_pidfd_getfd,
    SYS_pidfd_open,
    SYS_pidfd_send_signal,
#ifdef SYS_fork
    SYS_fork,
    SYS_vfork,
#endif
    /* the file system as a whole */
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_move_mount,
    SYS_open_tree,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_swapon,
    SYS_swapoff,
    SYS_quotactl,
    SYS_mknodat,
    SYS_open_by_handle_at,
    SYS_name_to_handle_at,
    SYS_fanotify_init,
    /* the kernel */
    SYS_reboot,
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_syslog,
    SYS_acct,
    SYS_personality,
#ifdef SYS_iopl
    SYS_iopl,
    SYS_ioperm,
    SYS_modify_ldt,
#endif
    /* the machine's name, its clock, our place in it */
    SYS_setns,
    SYS_unshare,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_clock_adjtime,
    SYS_adjtimex,
};

#define REFUSED_COUNT (sizeof(refused) / sizeof(refused[0]))
/* A jump reaches 255 instructions. */
_Static_assert(REFUSED_COUNT < 200, "the list is too long for single jumps");

bool confine_system_calls(char *why, size_t why_bytes)
{
    struct sock_filter filter[REFUSED_COUNT + 8];
    unsigned short at = 0;

    filter[at++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCHITECTURE, 0,
                                                REFUSED_COUNT + 3);
    filter[at++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    filter[at++] =
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FOREIGN_FROM, REFUSED_COUNT + 1, 0);
    for (size_t i = 0; i < REFUSED_COUNT; i++) {
        filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused[i],
                                                    (unsigned char)(REFUSED_COUNT - i), 0);
    }
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    assert(at <= sizeof(filter) / sizeof(filter[0]));
    struct sock_fprog program = {.len = at, .filter = filter};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) {
        snprintf(why, why_bytes, "the system does not take our filter of system calls: %s",
                 strerror(errno));
        return false;
    }
    return true;
}

#else

bool confine_system_calls(char *why, size_t why_bytes)
{
    (void)why;
    (void)why_bytes;
    return true;
}

#endif
