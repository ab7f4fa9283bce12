/* Decides which pages can be had again from where they came. */
#define _GNU_SOURCE 1 /* what only Linux has */
#include "host/memory.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static int give_back(struct dl_phdr_info *library, size_t bytes, void *context)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    (void)bytes;
    (void)context;
    for (size_t i = 0; i < library->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &library->dlpi_phdr[i];

        /* What can be written may have been: by relocation, if by nothing else. */
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) != 0) {
            continue;
        }
        uintptr_t first = library->dlpi_addr + segment->p_vaddr;
        uintptr_t begin = first / page * page;
        uintptr_t end = (first + segment->p_filesz) / page * page;

        if (end > begin) {
            (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
        }
    }
    return 0;
}

void memory_give_back(void)
{
    (void)dl_iterate_phdr(give_back, NULL);
    (void)malloc_trim(0);
}
