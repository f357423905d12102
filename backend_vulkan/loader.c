// The one unit that holds volk's code: it finds libvulkan.so.1 at run time, so that the library starts without it.
#define VOLK_IMPLEMENTATION
#include <volk.h>
