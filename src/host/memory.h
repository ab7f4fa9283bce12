/* What the process holds of the machine's memory without need. */
#ifndef SEKISHO_HOST_MEMORY_H
#define SEKISHO_HOST_MEMORY_H

/* Gives back pages of programs and libraries that nobody has written to (they come again from their
 * files when they are wanted) and free memory of the heap. For the end of a start that tried every
 * algorithm, of which most are never used. */
void memory_give_back(void);

#endif
