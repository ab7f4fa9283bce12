/*
 * Lists of proposals as the machines borrow them: each different one is kept once, however many
 * sites have it. They are far larger than all else that is kept for a site.
 */
#include "gateway/inside.h"

#include <assert.h>
#include <stdlib.h>

struct shared_proposals *proposals_share(struct gateway *g, const struct proposals *list)
{
    for (struct shared_proposals *s = g->proposals; s != NULL; s = s->next) {
        if (terms_same_proposals(&s->list, list)) {
            s->references++;
            return s;
        }
    }
    struct shared_proposals *s = malloc(sizeof(*s));

    if (s == NULL) {
        return NULL;
    }
    *s = (struct shared_proposals){
        .next = g->proposals, .link = &g->proposals, .references = 1, .list = *list};
    if (s->next != NULL) {
        s->next->link = &s->next;
    }
    g->proposals = s;
    return s;
}

void proposals_release(struct shared_proposals *s)
{
    if (s == NULL) {
        return;
    }
    assert(s->references > 0);
    if (--s->references > 0) {
        return;
    }
    *s->link = s->next;
    if (s->next != NULL) {
        s->next->link = s->link;
    }
    free(s);
}
