/* Pages: decides how far apart the borders stand. */
#include "dataplane/pages.h"

#include <assert.h>

#include <sys/mman.h>

/* The largest pages that Linux has, so that it is a multiple of them everywhere. The octets end
 * where the border begins. */
#define BORDER_BYTES 65536

static size_t rounded(size_t bytes)
{
    return (bytes + BORDER_BYTES - 1) / BORDER_BYTES * BORDER_BYTES;
}

uint8_t *pages_new(size_t bytes)
{
    assert(bytes > 0 && bytes % PAGES_ALIGNMENT == 0);
    if (bytes > SIZE_MAX / 2) {
        return NULL;
    }
    size_t inner = rounded(bytes);
    uint8_t *all =
        mmap(NULL, inner + 2 * BORDER_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (all == MAP_FAILED) {
        return NULL;
    }
    if (mprotect(all + BORDER_BYTES, inner, PROT_READ | PROT_WRITE) != 0) {
        (void)munmap(all, inner + 2 * BORDER_BYTES);
        return NULL;
    }
    return all + BORDER_BYTES + (inner - bytes);
}

void pages_free(uint8_t *pages, size_t bytes)
{
    size_t inner = rounded(bytes);

    if (pages != NULL) {
        int result = munmap(pages - (inner - bytes) - BORDER_BYTES, inner + 2 * BORDER_BYTES);

        assert(result == 0);
        (void)result;
    }
}
