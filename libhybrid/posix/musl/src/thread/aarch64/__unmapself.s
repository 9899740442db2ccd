// Nothing: the personality has __unmapself, since only it can end a thread without its stack.
//
// Replaces musl's file of this name, and keeps musl's generic one out of the library.
