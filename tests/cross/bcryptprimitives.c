/*
 * The one function of Windows that Rust's standard library needs and that Wine before 9 does not have; without it
 * every Rust program ends at once with exit code 53. Goes into the Wine prefix of the tests and nowhere else.
 */
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length)
{
    /* Asked for a few bytes at a time: the length fits. */
    return RtlGenRandom(buffer, (ULONG)length);
}
