// The part of Cloud Storage's SDK that the guide uses, with a folder.
package com.google.firebase.storage

import com.google.android.gms.tasks.Task
import java.io.File

class StorageException(message: String) : Exception(message)

class FileDownloadTask(outcome: Result<TaskSnapshot>) : Task<FileDownloadTask.TaskSnapshot>(outcome) {
    class TaskSnapshot
}

class StorageReference internal constructor(private val name: String) {
    fun getFile(destinationFile: File): FileDownloadTask = FileDownloadTask(
        runCatching {
            val found = File(FirebaseStorage.bucket, name)
            if (!found.exists()) throw StorageException("Object does not exist at location.")
            found.copyTo(destinationFile, overwrite = true)
            FileDownloadTask.TaskSnapshot()
        },
    )
}

class FirebaseStorage private constructor() {
    fun getReference(location: String): StorageReference = StorageReference(location)

    companion object {
        var bucket = File(".")
        private val only = FirebaseStorage()

        @JvmStatic
        fun getInstance(): FirebaseStorage = only
    }
}
