// Play services' tasks, as far as the guide uses them: one that is done.
package com.google.android.gms.tasks

open class Task<T>(val outcome: Result<T>)
