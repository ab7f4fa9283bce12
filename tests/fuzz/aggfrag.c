/* AGGFRAG payloads of any bytes: header, data blocks one behind the other, and the notification. */
#include <string.h>

#include "fuzz.h"
#include "wire/aggfrag.h"

static void check_blocks(struct slice blocks)
{
    while (blocks.length > 0) {
        size_t bytes = 0;
        enum aggfrag_block kind = aggfrag_block_read(blocks, &bytes);

        MUST((kind == AGGFRAG_BLOCK_PACKET) == (bytes >= 20));
        MUST(kind == AGGFRAG_BLOCK_PACKET || bytes == 0);
        MUST(kind != AGGFRAG_BLOCK_SHORT || blocks.length < AGGFRAG_BLOCK_START_BYTES);
        if (kind != AGGFRAG_BLOCK_PACKET || bytes > blocks.length) {
            return;
        }
        blocks = (struct slice){blocks.data + bytes, blocks.length - bytes};
    }
}

static void check_use(struct slice data)
{
    struct aggfrag_use use;

    if (aggfrag_read_use(data, &use)) {
        MUST(data.length == 1 && aggfrag_write_use(&use) == (data.data[0] & 3));
    }
}

FUZZ(aggfrag, 40000)
{
    struct slice payload = {data, size};
    struct aggfrag_head head;
    struct aggfrag_head again;
    struct slice blocks;
    struct slice none;
    uint8_t written[AGGFRAG_CONTROL_HEAD_BYTES];
    char room[200];
    struct text line = text_over(room, sizeof(room));

    aggfrag_describe(payload, &line);
    MUST(!line.cut);
    check_use(payload);
    if (!aggfrag_read(payload, &head, &blocks)) {
        return 0;
    }
    MUST(blocks.length + aggfrag_head_bytes(&head) == size);
    aggfrag_write_head(written, &head);
    MUST(aggfrag_read((struct slice){written, aggfrag_head_bytes(&head)}, &again, &none));
    /* All but the reserved bits. */
    written[1] = data[1];
    MUST(memcmp(written, data, aggfrag_head_bytes(&head)) == 0 && none.length == 0);
    check_blocks(blocks);
    return 0;
}
